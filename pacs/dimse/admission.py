"""Who may come in: a number of associations, and another of connections that have not asked for one yet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

Guest = TypeVar("Guest", bound=Hashable)


class Admission(Generic[Guest]):
    """Keeps the two numbers apart, so that silent sockets cannot keep modalities out.

    Where too many have not asked yet, the oldest of the address that has most of them makes room: one host
    with a fault or an intention only ever crowds out itself. Safe for use by several threads at once.
    """

    def __init__(self, max_admitted: int, max_waiting: int) -> None:
        self._max_admitted = max_admitted
        self._max_waiting = max_waiting
        self._waiting: dict[Guest, str] = {}  # in the order of arrival
        self._admitted: set[Guest] = set()
        self._lock = threading.Lock()

    def enter(self, guest: Guest, address: str) -> list[Guest]:
        """Let a connection wait; return those that have to go for it."""
        with self._lock:
            self._waiting[guest] = address
            evicted = []
            while len(self._waiting) > self._max_waiting:
                evicted.append(self._oldest_of_most())
                del self._waiting[evicted[-1]]
            return evicted

    def _oldest_of_most(self) -> Guest:
        busiest, _ = Counter(self._waiting.values()).most_common(1)[0]
        return next(guest for guest, address in self._waiting.items() if address == busiest)

    def admit(self, guest: Guest) -> bool:
        """Give a waiting connection its association, unless there are too many."""
        with self._lock:
            if len(self._admitted) >= self._max_admitted:
                return False
            self._waiting.pop(guest, None)
            self._admitted.add(guest)
            return True

    def leave(self, guest: Guest) -> None:
        """Forget a connection that is over."""
        with self._lock:
            self._waiting.pop(guest, None)
            self._admitted.discard(guest)

    def present(self) -> list[Guest]:
        """Everybody who is here."""
        with self._lock:
            return [*self._waiting, *self._admitted]
