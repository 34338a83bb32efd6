import threading

import pytest

from storage import spool_room
from storage.errors import StoreFull, StoreUnavailable
from storage.spool_room import SpoolLimits, SpoolRoom


def test_it_is_short_before_it_is_full(tmp_path):
    room = SpoolRoom(tmp_path, SpoolLimits(quota_bytes=100, min_free_bytes=0), lambda: 85)
    room.require()
    assert room.is_short(0.8)
    assert not room.is_short(0.9)


def test_the_disk_may_be_short_too(tmp_path):
    room = SpoolRoom(tmp_path, SpoolLimits(quota_bytes=100, min_free_bytes=2**60), lambda: 0)
    assert room.is_short(0.8)


def test_bytes_are_counted_now_and_then_and_not_for_every_object(tmp_path):
    counted = []
    room = SpoolRoom(tmp_path, SpoolLimits(1000, 0), lambda: counted.append(1) or 10)
    for _ in range(100):
        room.require()
    assert len(counted) == 1


def test_while_nothing_can_be_counted_the_last_figure_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_room, "_MEASURE_EVERY_S", 0.0)
    monkeypatch.setattr(spool_room, "_SHARE_OF_MEASURING", 1e9)
    figures = iter([2000, None, None, 10])
    room = SpoolRoom(tmp_path, SpoolLimits(1000, 0), lambda: next(figures))
    for _ in range(3):
        with pytest.raises(StoreFull):
            room.require()
    room.require()


def test_who_comes_while_bytes_are_counted_does_not_wait(tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def count():
        begun.set()
        go_on.wait(10)
        return 2000

    room = SpoolRoom(tmp_path, SpoolLimits(1000, 0), count)
    slow = threading.Thread(target=room.used_bytes)
    slow.start()
    begun.wait(10)
    room.require()
    go_on.set()
    slow.join()
    with pytest.raises(StoreFull):
        room.require()


def test_a_spool_that_is_gone_is_unavailable(tmp_path):
    with pytest.raises(StoreUnavailable):
        SpoolRoom(tmp_path / "absent", SpoolLimits(1000, 0), lambda: 0).require()
