"""Numbers under which lists tell their entries, as they are typed."""

from __future__ import annotations

from typing import Final

LARGEST_NUMBER: Final = 2**63 - 1  # no database counts further, and each of them fails at more
