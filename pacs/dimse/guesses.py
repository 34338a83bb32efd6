"""Those who are refused too often, and have to wait."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

_FAILURES, _WITHIN_S, _SHUT_OUT_FOR_S = 10, 60.0, 900.0
_MAX_ADDRESSES: Final = 4096


@dataclass(slots=True)
class _Failures:
    at: deque[float] = field(default_factory=lambda: deque(maxlen=_FAILURES))
    shut_out_until: float = 0.0


class Guesses:
    """Counts by address who asked for what is refused, and shuts out for a while who does so too often.

    Ten in a minute shut an address out for a quarter of an hour, right titles or wrong. Each listener process
    counts for itself. Safe for use by several threads.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_address: OrderedDict[str, _Failures] = OrderedDict()

    def is_shut_out(self, address: str) -> bool:
        """Tell whether an address has to wait."""
        with self._lock:
            failures = self._by_address.get(address)
            return failures is not None and failures.shut_out_until > self._clock()

    def note_failure(self, address: str) -> bool:
        """Count a refusal; tell whether the address is shut out for it."""
        with self._lock:
            now = self._clock()
            failures = self._by_address.setdefault(address, _Failures())
            self._by_address.move_to_end(address)
            while len(self._by_address) > _MAX_ADDRESSES:
                self._by_address.popitem(last=False)
            failures.at.append(now)
            if len(failures.at) < _FAILURES or now - failures.at[0] > _WITHIN_S:
                return False
            failures.at.clear()
            failures.shut_out_until = now + _SHUT_OUT_FOR_S
            return True
