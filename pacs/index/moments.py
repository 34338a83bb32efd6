"""Times as they come back from a database."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """Give a time its zone: SQLite gives times back without it, and it is always UTC here."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
