"""What a peer answers for good, and what may pass."""

from __future__ import annotations

import pytest

from pacs.dimse.requestor import PeerUnreachable
from pacs.dimse.retrieving.courier import Delivered
from pacs.dimse.retrieving.progress import SubOperationResult, result_of
from pacs.errors import IndexUnavailable, UnreadableInstance
from pacs.index.send_jobs import SentInstance
from pacs.jobs.sending.answers import may_pass, note, tell
from storage.errors import ObjectNotFound, StoreUnavailable

FAILED = SubOperationResult.FAILED


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        (0x0000, False),
        (0xB000, False),
        (0xA700, True),
        (0xA7FF, True),
        (0xA900, False),
        (0xC000, False),
        (0xC123, False),
        (0x0110, True),
        (0x0111, False),
        (0x0117, False),
        (0x0122, False),
        (0x0124, True),
        (0x0213, True),
    ],
)
def test_only_what_may_be_otherwise_another_time_passes(status: int, passes: bool) -> None:
    assert may_pass(Delivered(result_of(status), status)) is passes


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (PeerUnreachable("gone"), True),
        (StoreUnavailable("away"), True),
        (IndexUnavailable("away"), True),
        (MemoryError(), True),
        (ObjectNotFound("key"), False),
        (UnreadableInstance("cut short"), False),
    ],
)
def test_what_is_away_may_come_back_and_what_is_broken_stays_so(error: Exception, passes: bool) -> None:
    assert may_pass(Delivered(FAILED, error=error)) is passes


def test_what_is_noted_names_no_patient() -> None:
    broken = Delivered(FAILED, error=UnreadableInstance("NGUYỄN^VĂN ĐỨC"))
    assert note("1.2", broken) == SentInstance("1.2", True, None, "UnreadableInstance")
    assert tell(broken) == "UnreadableInstance"
    assert tell(Delivered(FAILED, 0xA701)) == "the peer answers A701"
    warned = Delivered(SubOperationResult.WARNING, 0xB000)
    assert note("1.2", warned) == SentInstance("1.2", False, 0xB000, None)
