"""How long is waited before something is tried again."""

from __future__ import annotations

import random
from datetime import timedelta


def pause_after(attempts: int, first_s: float, longest_s: float) -> timedelta:
    """Twice as long after each attempt in vain, and not for all at the same moment."""
    pause_s = min(first_s * 2 ** min(attempts - 1, 20), longest_s)
    return timedelta(seconds=pause_s * random.uniform(0.5, 1))
