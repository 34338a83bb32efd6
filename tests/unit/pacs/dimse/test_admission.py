"""Who may come in, and who has to go."""

from __future__ import annotations

from pacs.dimse.admission import Admission


def test_one_more_than_the_limit_is_not_admitted_until_one_leaves() -> None:
    admission: Admission[str] = Admission(max_admitted=2, max_admitted_each=2, max_waiting=10)
    for guest in ("a", "b", "c"):
        assert admission.enter(guest, "10.0.0.1") == []
    assert [admission.admit(guest) for guest in ("a", "b", "c")] == [True, True, False]
    admission.leave("a")
    assert admission.admit("c")


def test_silent_connections_do_not_use_up_associations() -> None:
    admission: Admission[str] = Admission(max_admitted=1, max_admitted_each=1, max_waiting=3)
    for number in range(3):
        admission.enter(f"silent {number}", "10.0.0.66")
    assert admission.enter("modality", "10.0.0.1") == ["silent 0"]
    assert admission.admit("modality")


def test_the_address_with_most_connections_crowds_out_itself() -> None:
    admission: Admission[str] = Admission(max_admitted=9, max_admitted_each=9, max_waiting=3)
    admission.enter("patient modality", "10.0.0.1")
    admission.enter("flood 0", "10.0.0.66")
    admission.enter("flood 1", "10.0.0.66")
    assert admission.enter("flood 2", "10.0.0.66") == ["flood 0"]
    assert admission.enter("flood 3", "10.0.0.66") == ["flood 1"]
    assert "patient modality" in admission.present()


def test_who_has_left_is_not_present() -> None:
    admission: Admission[str] = Admission(max_admitted=9, max_admitted_each=9, max_waiting=9)
    admission.enter("a", "10.0.0.1")
    admission.enter("b", "10.0.0.1")
    admission.admit("b")
    assert sorted(admission.present()) == ["a", "b"]
    admission.leave("a")
    admission.leave("b")
    admission.leave("b")
    assert admission.present() == []


def test_one_address_does_not_take_every_association() -> None:
    admission: Admission[str] = Admission(max_admitted=9, max_admitted_each=2, max_waiting=9)
    for guest in ("a", "b", "c"):
        admission.enter(guest, "10.0.0.66")
    admission.enter("modality", "10.0.0.1")
    assert [admission.admit(guest) for guest in ("a", "b", "c")] == [True, True, False]
    assert admission.admit("modality")
    admission.leave("a")
    assert admission.admit("c")


def test_who_had_to_make_room_is_not_admitted_any_more() -> None:
    admission: Admission[str] = Admission(max_admitted=9, max_admitted_each=9, max_waiting=1)
    admission.enter("a", "10.0.0.1")
    assert admission.enter("b", "10.0.0.1") == ["a"]
    assert not admission.admit("a")
    assert admission.admit("b")
