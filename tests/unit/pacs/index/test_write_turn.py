from __future__ import annotations

import fcntl
import math
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pacs.index import write_turn
from pacs.index.write_turn import WriteTurn


def turn_of(folder: Path) -> WriteTurn:
    return WriteTurn(make_url(f"sqlite:///{folder / 'index.sqlite'}"))


def test_one_writes_while_the_other_waits(tmp_path: Path) -> None:
    one, other = turn_of(tmp_path), turn_of(tmp_path)
    events: list[str] = []

    def write() -> None:
        with other.taken():
            events.append("other")

    thread = threading.Thread(target=write)
    with one.taken():
        thread.start()
        thread.join(0.1)
        events.append("one")
    thread.join(10)
    assert events == ["one", "other"]
    one.close()
    other.close()


def test_who_waits_too_long_goes_on_to_the_lock_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_turn, "_PATIENCE_S", 0.01)
    one, other = turn_of(tmp_path), turn_of(tmp_path)
    events: list[str] = []
    with one.taken(), other.taken():
        events.append("both go on")
    with other.taken():
        events.append("and there are turns again")
        assert is_taken(one)
    assert not is_taken(one)
    assert events == ["both go on", "and there are turns again"]
    one.close()
    other.close()


def is_taken(turn: WriteTurn) -> bool:
    """Tell whether somebody else has the turn, by a file of ours: what a process has is by open file."""
    with Path(f"{turn._path}").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_a_folder_in_which_nothing_can_be_made_has_no_turns(tmp_path: Path) -> None:
    turn = turn_of(tmp_path / "missing")
    with turn.taken():
        assert not (tmp_path / "missing").exists()


def test_another_database_has_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_turn, "_PATIENCE_S", math.inf)  # who waited here would wait for ever
    one, other = (WriteTurn(make_url("postgresql://nobody@127.0.0.1/none")) for _ in range(2))
    with one.taken(), other.taken():
        assert not is_any_file_open(one, other)


def is_any_file_open(*turns: WriteTurn) -> bool:
    return any(turn._descriptor is not None for turn in turns)
