"""A peer is sent so much in a second, and what is sent is what it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacs.jobs.sending.pace import Pacemaker


class Clock:
    """Time that passes by waiting only."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


@given(st.lists(st.binary(max_size=100_000), max_size=8))
def test_the_bytes_stay_as_they_are_and_come_in_their_time(pieces: list[bytes]) -> None:
    clock = Clock()
    paced = Pacemaker(50_000, clock.wait, clock)
    assert b"".join(paced.pace(pieces)) == b"".join(pieces)
    size_bytes = sum(map(len, pieces))
    last_piece_s = 32 * 1024 / 50_000
    passed_s = clock.now_s - 1000
    assert size_bytes / 50_000 - last_piece_s <= passed_s + 1e-6
    assert passed_s <= size_bytes / 50_000 + 1e-6


def test_what_was_not_used_is_not_saved_up() -> None:
    clock = Clock()
    paced = Pacemaker(50_000, clock.wait, clock)
    clock.now_s += 3600
    list(paced.pace([bytes(1_000_000)]))
    assert clock.now_s - 4600 > 18


def test_two_who_send_share_the_limit() -> None:
    clock = Clock()
    paced = Pacemaker(50_000, clock.wait, clock)
    one, other = paced.pace([bytes(500_000)]), paced.pace([bytes(500_000)])
    for _ in zip(one, other, strict=True):
        pass
    assert 18 < clock.now_s - 1000 <= 20
