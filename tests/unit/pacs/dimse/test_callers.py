"""Who is let in, what each may do, and what those learn who guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pacs.dimse.callers import EVERY_RIGHT, Caller, Reception, is_this_machine, plain_address
from pacs.dimse.endings import (
    TEMPORARY_CONGESTION,
    UNKNOWN_CALLED_AE_TITLE,
    UNKNOWN_CALLING_AE_TITLE,
)
from pacs.dimse.guesses import Guesses
from pacs.errors import IndexUnavailable
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.peers import PeerBook

CT = KnownPeer("CT1")
WORKSTATION = KnownPeer(
    "WS1", "10.0.0.5", 104, frozenset({PeerRight.FIND, PeerRight.MOVE}), only_from_host=True
)
BOOK = PeerBook(lambda: [CT, WORKSTATION], lambda host: frozenset({host}))


def closed(guesses: Guesses | None = None) -> Reception:
    return Reception({"FILMLESS", "OLD"}, BOOK, None, guesses)


def test_a_peer_has_its_rights_and_no_others() -> None:
    ct = closed().receive("FILMLESS", "CT1", "10.0.0.9")
    assert ct == Caller("CT1", frozenset({PeerRight.STORE}), CT)
    assert closed().receive("OLD", "CT1", "10.0.0.9") == ct


@pytest.mark.parametrize("title", ["ct1", "CT1?", "CT?", "*", "CT", "CT11", "", "STRANGER"])
def test_a8_a_title_that_is_not_exactly_a_peers_is_refused(title: str) -> None:
    assert closed().receive("FILMLESS", title, "10.0.0.9") is UNKNOWN_CALLING_AE_TITLE


def test_a8_the_address_of_a_peer_is_checked_where_that_is_wanted() -> None:
    assert isinstance(closed().receive("FILMLESS", "WS1", "10.0.0.5"), Caller)
    assert closed().receive("FILMLESS", "WS1", "10.0.0.6") is UNKNOWN_CALLING_AE_TITLE
    opened = Reception({"FILMLESS"}, BOOK, EVERY_RIGHT)
    assert opened.receive("FILMLESS", "WS1", "10.0.0.6") is UNKNOWN_CALLING_AE_TITLE


def test_a8_a_peer_whose_certificate_is_known_calls_with_it_or_not_at_all() -> None:
    bound = KnownPeer("CT2", certificate_sha256="ab" * 32)
    for strangers in (None, EVERY_RIGHT):
        reception = Reception({"FILMLESS"}, PeerBook(lambda: [bound]), strangers)
        caller = reception.receive("FILMLESS", "CT2", "10.0.0.9", "ab" * 32)
        assert isinstance(caller, Caller)
        assert caller.is_certain
        for shown in (None, "cd" * 32):
            assert reception.receive("FILMLESS", "CT2", "10.0.0.9", shown) is UNKNOWN_CALLING_AE_TITLE


def test_who_was_let_in_keeps_its_rights_no_longer_than_the_table_says() -> None:
    table = [replace(WORKSTATION, only_from_host=False)]
    now = [0.0]
    reception = Reception(
        {"FILMLESS"}, PeerBook(lambda: table, lambda host: frozenset({host}), lambda: now[0]), None
    )
    caller = reception.receive("FILMLESS", "WS1", "10.0.0.6")
    assert isinstance(caller, Caller)
    table[0], now[0] = WORKSTATION, 6.0
    assert reception.recognise_again(caller, "10.0.0.6") == Caller("WS1", frozenset())
    assert reception.recognise_again(caller, "10.0.0.5").rights == WORKSTATION.rights


def test_the_address_of_who_was_let_in_is_not_looked_up_again_unless_it_is_another_host() -> None:
    table, known, now = [WORKSTATION], {"10.0.0.5"}, [0.0]
    book = PeerBook(lambda: table, lambda host: frozenset({host} & known), lambda: now[0])
    reception = Reception({"FILMLESS"}, book, None)
    caller = reception.receive("FILMLESS", "WS1", "10.0.0.5")
    assert isinstance(caller, Caller)
    known.clear()  # the name server is away
    now[0] = 6.0
    assert reception.recognise_again(caller, "10.0.0.5").rights == WORKSTATION.rights
    table[0], now[0] = replace(WORKSTATION, host="10.0.0.7"), 12.0
    assert reception.recognise_again(caller, "10.0.0.5").rights == frozenset()


def test_who_was_let_in_goes_on_while_the_table_cannot_be_read() -> None:
    def away() -> list[KnownPeer]:
        raise IndexUnavailable("away")

    caller = Caller("CT1", frozenset({PeerRight.STORE}))
    assert Reception({"FILMLESS"}, PeerBook(away), None).recognise_again(caller, "10.0.0.9") is caller


def test_a9_who_guesses_does_not_learn_which_title_was_wrong() -> None:
    answers = {
        closed().receive(called, calling, "10.0.0.9")
        for called, calling in (("FILMLESS", "STRANGER"), ("NOBODY", "CT1"), ("NOBODY", "STRANGER"))
    }
    assert answers == {UNKNOWN_CALLING_AE_TITLE}


def test_where_all_are_let_in_a_wrong_name_of_ours_is_told() -> None:
    opened = Reception({"FILMLESS"}, BOOK, frozenset({PeerRight.STORE}))
    assert opened.receive("NOBODY", "STRANGER", "10.0.0.9") is UNKNOWN_CALLED_AE_TITLE
    stranger = opened.receive("FILMLESS", "STRANGER", "10.0.0.9")
    assert stranger == Caller("STRANGER", frozenset({PeerRight.STORE}))


def test_a9_an_address_that_is_refused_ten_times_in_a_minute_has_to_wait() -> None:
    now = [0.0]
    reception = closed(Guesses(lambda: now[0]))
    for _ in range(9):
        assert reception.receive("FILMLESS", "STRANGER", "10.0.0.5") is UNKNOWN_CALLING_AE_TITLE
    assert isinstance(reception.receive("FILMLESS", "CT1", "10.0.0.5"), Caller)
    reception.receive("FILMLESS", "STRANGER", "10.0.0.5")
    assert reception.receive("FILMLESS", "CT1", "10.0.0.5") is TEMPORARY_CONGESTION  # a right guess too
    assert isinstance(reception.receive("FILMLESS", "WS1", "10.0.0.5"), Caller)  # not by its title alone
    assert isinstance(reception.receive("FILMLESS", "CT1", "10.0.0.9"), Caller)
    now[0] += 901
    assert isinstance(reception.receive("FILMLESS", "CT1", "10.0.0.5"), Caller)


def test_a_device_that_errs_now_and_then_is_never_shut_out() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(100):
        now[0] += 7
        assert not guesses.note_failure("10.0.0.5")


def test_addresses_without_number_take_bounded_memory() -> None:
    guesses = Guesses()
    for number in range(10_000):
        guesses.note_failure(f"address {number}")
    assert len(guesses._by_address) <= 4096


def test_a_health_check_of_this_machine_may_ask_whether_we_hear() -> None:
    assert closed().receive("FILMLESS", "FILMLESS", "127.0.0.1") == Caller("FILMLESS", frozenset())
    assert closed().receive("FILMLESS", "FILMLESS", "10.0.0.9") is UNKNOWN_CALLING_AE_TITLE


def test_a_caller_is_put_off_while_the_table_cannot_be_read() -> None:
    def away() -> list[KnownPeer]:
        raise IndexUnavailable("away")

    reception = Reception({"FILMLESS"}, PeerBook(away), None)
    assert reception.receive("FILMLESS", "CT1", "10.0.0.9") is TEMPORARY_CONGESTION
    opened = Reception({"FILMLESS"}, PeerBook(away), EVERY_RIGHT)
    assert isinstance(opened.receive("FILMLESS", "CT1", "10.0.0.9"), Caller)


def test_an_address_is_written_in_one_way() -> None:
    assert plain_address("::ffff:10.0.0.9") == "10.0.0.9"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("") == ""
    assert is_this_machine("::1")
    assert not is_this_machine("10.0.0.9")
    assert not is_this_machine("")
