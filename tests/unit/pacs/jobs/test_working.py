"""The loop of a job: what there is, then a pause; what is away is tried again."""

from __future__ import annotations

from threading import Event

import pytest

from pacs.errors import IndexUnavailable
from pacs.jobs import working
from pacs.jobs.working import keep_working


def test_work_goes_on_after_a_failure_and_ends_when_it_is_to_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(working, "_RETRY_AFTER_S", 0.0)
    monkeypatch.setattr(working, "_EVERY_S", 0.0)
    stop, done = Event(), []

    def work() -> int:
        done.append(len(done))
        if len(done) == 2:
            raise IndexUnavailable("the host and the name of a database")
        if len(done) == 4:
            stop.set()
        return 0

    keep_working(work, stop, "things will be done")
    assert len(done) == 4
    assert [record.getMessage() for record in caplog.records] == [
        "things will be done later: IndexUnavailable"
    ]


def test_nothing_is_waited_for_while_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, pauses, left = Event(), [], [3, 2, 0]
    monkeypatch.setattr(stop, "wait", lambda pause_s: pauses.append(pause_s) or bool(left) or stop.set())
    keep_working(lambda: left.pop(0), stop, "things will be done")
    assert pauses == [0, 0, working._EVERY_S]


@pytest.mark.parametrize(("every_s", "times"), [(3600.0, 1), (0.0, 3)])
def test_it_is_tidied_now_and_then(monkeypatch: pytest.MonkeyPatch, every_s: float, times: int) -> None:
    monkeypatch.setattr(working, "_TIDY_EVERY_S", every_s)
    stop, left, tidied = Event(), [1, 2, 3], []

    def work() -> int:
        left.pop()
        if not left:
            stop.set()
        return 1

    keep_working(work, stop, "things will be done", lambda: tidied.append(len(left)))
    assert len(tidied) == times
