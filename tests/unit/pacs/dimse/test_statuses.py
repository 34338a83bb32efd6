"""The one map from errors to statuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs import errors
from pacs.dimse.statuses import code_location, error_comment, may_pass, status_of
from storage.errors import StoreFull, StoreUnavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreFull("x"), 0xA700),
        (StoreUnavailable("x"), 0xA700),
        (errors.IndexUnavailable("x"), 0xA700),
        (errors.ObjectTooLarge("x"), 0xC213),
        (errors.DuplicateInstance("x"), 0x0111),
        (errors.DuplicateProcedureStep("x"), 0x0111),
        (errors.UnknownProcedureStep("x"), 0x0112),
        (errors.EndedProcedureStep("x"), 0x0110),
        (errors.MissingAttribute("x"), 0x0120),
        (errors.MissingAttributeValue("x"), 0x0121),
        (errors.InvalidAttributeValue("x"), 0x0106),
        (errors.SopClassMismatch("x"), 0xA900),
        (errors.IdentifierMismatch("x"), 0xA900),
        (errors.InvalidRequest("x"), 0xC000),
        (errors.PeerRefused("x"), 0x0124),
        (errors.MatchesUncountable("x"), 0xA701),
        (errors.RetrievalRefused("x"), 0xA702),
        (errors.UnknownDestination("x"), 0xA801),
        (errors.UnreadableInstance("x"), 0xC000),
        (errors.InvalidUid("x"), 0x0117),
        (errors.UnsupportedSopClass("x"), 0x0122),
        (errors.UnsupportedTransferSyntax("x"), 0xC122),
    ],
)
def test_every_refusal_has_its_status(error: Exception, code: int) -> None:
    status = status_of(error)
    assert status is not None
    assert status.code == code
    assert status.comment


def test_what_nobody_raises_on_purpose_has_no_status_of_its_own() -> None:
    assert status_of(ZeroDivisionError("Nguyen Van A")) is None


def test_a_sender_learns_what_is_wrong_with_its_instance_but_nothing_of_our_disks() -> None:
    refused = status_of(errors.UnreadableInstance("StudyInstanceUID is missing"))
    full = status_of(StoreFull("/srv/secret/objects has no space"))
    assert refused is not None and refused.comment == "StudyInstanceUID is missing"
    assert full is not None and "secret" not in full.comment


@pytest.mark.parametrize("status", [0x0110, 0x0124, 0x0213, 0xA700, 0xA701, 0xA7FF])
def test_a_failure_of_the_peer_s_state_may_pass(status: int) -> None:
    assert may_pass(status)


@pytest.mark.parametrize(
    "status", [0x0106, 0x0111, 0x0117, 0x0122, 0x0211, 0xA6FF, 0xA800, 0xA900, 0xC000, 0xC213]
)
def test_a_failure_of_what_was_sent_does_not_pass(status: int) -> None:
    assert not may_pass(status)


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_an_error_comment_is_a_valid_long_string(text: str) -> None:
    comment = error_comment(text)
    assert len(comment) <= 64
    assert comment.isascii() and "\\" not in comment
    assert comment.isprintable()


def test_an_unexpected_error_is_named_by_type_and_place_and_never_by_its_message() -> None:
    try:
        raise KeyError("Nguyen Van A")
    except KeyError as error:
        location = code_location(error)
    assert location.startswith("KeyError at test_statuses.py:")
    assert "Nguyen" not in location
