"""What the answers of peers mean to whom tells them something (PS3.7 Annex C)."""

from __future__ import annotations

import pytest

from pacs.dimse.command import CommandField
from pacs.dimse.notices import Outcome, PeerAnswer

_CREATE, _SET = CommandField.N_CREATE_RQ, CommandField.N_SET_RQ


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.TAKEN),
        (0x0001, Outcome.TAKEN),
        (0x0107, Outcome.TAKEN),
        (0x0116, Outcome.TAKEN),
        (0xB000, Outcome.TAKEN),
        (0x0110, Outcome.LATER),
        (0x0213, Outcome.LATER),
        (0xA700, Outcome.LATER),
        (0x0106, Outcome.REFUSED),
        (0x0112, Outcome.REFUSED),
        (0x0120, Outcome.REFUSED),
        (0x0122, Outcome.REFUSED),
        (0x0124, Outcome.LATER),
        (0xC000, Outcome.REFUSED),
    ],
)
def test_a_status_says_what_became_of_a_message(status: int, outcome: Outcome) -> None:
    for command_field in (_CREATE, _SET):
        assert PeerAnswer(status, None).outcome(command_field, is_again=False) is outcome


def test_what_was_created_before_is_taken_but_what_is_changed_must_not_be_a_duplicate() -> None:
    assert PeerAnswer(0x0111, None).outcome(_CREATE, is_again=False) is Outcome.TAKEN
    assert PeerAnswer(0x0111, None).outcome(_SET, is_again=True) is Outcome.REFUSED


def test_a_step_that_has_ended_has_heard_what_is_said_again_and_refuses_what_is_new() -> None:
    ended = PeerAnswer(0x0110, 0xA506)
    assert ended.outcome(_SET, is_again=True) is Outcome.TAKEN
    assert ended.outcome(_SET, is_again=False) is Outcome.REFUSED
