"""Who may come in: so many associations, so many from one address, and so many who have not asked yet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

Guest = TypeVar("Guest", bound=Hashable)


class Admission(Generic[Guest]):
    """Counts associations apart from connections, so that silent sockets cannot keep modalities out.

    Where too many have not asked yet, the oldest of the address that has most of them makes room: one host
    with a fault or an intention only ever crowds out itself. Safe for use by several threads at once.

    Parameters
    ----------
    max_admitted, max_admitted_each
        Associations at a time: in all, and with one address.
    max_waiting
        Connections that have not asked for an association yet.
    """

    def __init__(self, max_admitted: int, max_admitted_each: int, max_waiting: int) -> None:
        self._max_admitted = max_admitted
        self._max_admitted_each = max_admitted_each
        self._max_waiting = max_waiting
        self._waiting: dict[Guest, str] = {}  # in the order of arrival
        self._admitted: dict[Guest, str] = {}
        self._admitted_each: Counter[str] = Counter()
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
        """Give a waiting connection its association, unless there are too many or it had to make room."""
        with self._lock:
            address = self._waiting.get(guest)
            if (
                address is None
                or len(self._admitted) >= self._max_admitted
                or self._admitted_each[address] >= self._max_admitted_each
            ):
                return False
            self._admitted[guest] = self._waiting.pop(guest)
            self._admitted_each[address] += 1
            return True

    def leave(self, guest: Guest) -> None:
        """Forget a connection that is over."""
        with self._lock:
            self._waiting.pop(guest, None)
            address = self._admitted.pop(guest, None)
            if address is not None:
                self._admitted_each[address] -= 1
                self._admitted_each += Counter()  # drops addresses that are not here any more

    def present(self) -> list[Guest]:
        """Everybody who is here."""
        with self._lock:
            return [*self._waiting, *self._admitted]
