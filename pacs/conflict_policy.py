"""What to do with another content under a known SOP Instance UID."""

from __future__ import annotations

from enum import StrEnum


class ConflictPolicy(StrEnum):
    """How the archive meets a conflict at the door; both contents are kept in the store whatever it is."""

    KEEP = "keep"  # the first stays current, the sender is warned, an administrator settles it
    REPLACE = "replace"  # the new one becomes current, where study and patient are the same
    REFUSE = "refuse"  # the first stays current, and the sender is told that it failed
