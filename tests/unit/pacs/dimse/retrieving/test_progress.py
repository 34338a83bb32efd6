"""The numbers of sub-operations, and how a retrieval ends."""

from __future__ import annotations

import io

import pytest
from pydicom.filereader import read_dataset

from pacs.dimse.command import Element
from pacs.dimse.retrieving.progress import Progress, SubOperationResult, result_of
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

DONE, WARNED, FAILED = (
    SubOperationResult.COMPLETED,
    SubOperationResult.WARNING,
    SubOperationResult.FAILED,
)


def after(*results: SubOperationResult, total: int = 4) -> Progress:
    progress = Progress(total)
    for number, result in enumerate(results):
        progress.count(f"1.2.{number}", result)
    return progress


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (0x0000, DONE),
        (0xB000, WARNED),
        (0xB007, WARNED),
        (0x0107, WARNED),
        (0xA700, FAILED),
        (0x0124, FAILED),
        (0xC000, FAILED),
        (0xFE00, FAILED),
    ],
)
def test_each_status_of_a_sub_operation_is_counted_as_what_it_is(
    status: int, result: SubOperationResult
) -> None:
    assert result_of(status) is result


def test_pending_tells_four_numbers_and_the_end_three() -> None:
    progress = after(DONE, WARNED, FAILED)
    numbers = [
        (Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS, 1),
        (Element.NUMBER_OF_FAILED_SUB_OPERATIONS, 1),
        (Element.NUMBER_OF_WARNING_SUB_OPERATIONS, 1),
    ]
    assert progress.final_elements() == numbers
    assert progress.pending_elements() == [(Element.NUMBER_OF_REMAINING_SUB_OPERATIONS, 1), *numbers]


def test_numbers_stay_within_their_two_bytes() -> None:
    assert Progress(100_000).pending_elements()[0] == (Element.NUMBER_OF_REMAINING_SUB_OPERATIONS, 0xFFFF)


@pytest.mark.parametrize(
    ("progress", "cancelled", "status"),
    [
        (after(total=0), False, 0x0000),
        (after(DONE, DONE, DONE, DONE), False, 0x0000),
        (after(DONE, WARNED, DONE, DONE), False, 0xB000),
        (after(DONE, FAILED, DONE, DONE), False, 0xB000),
        (after(FAILED, FAILED, FAILED, FAILED), False, 0xA702),
        (after(DONE, FAILED), True, 0xFE00),
    ],
)
def test_the_end_has_the_status_of_the_standard(progress: Progress, cancelled: bool, status: int) -> None:
    assert progress.final_status(cancelled=cancelled).code == status


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("failures", [1, 2, 3000])
def test_the_uids_of_what_failed_go_along(syntax: str, failures: int) -> None:
    progress = after(*[FAILED] * failures, total=failures)
    encoded = progress.encode_failed_uids(syntax)
    assert encoded is not None
    assert len(encoded) % 2 == 0
    dataset = read_dataset(io.BytesIO(encoded), syntax == IMPLICIT, True)
    uids = dataset.FailedSOPInstanceUIDList
    read = [uids] if isinstance(uids, str) else list(uids)
    assert [str(uid) for uid in read] == progress.failed_uids


def test_where_nothing_failed_there_is_no_list() -> None:
    assert after(DONE, WARNED).encode_failed_uids(EXPLICIT) is None
