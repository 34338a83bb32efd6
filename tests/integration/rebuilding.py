"""Making the index again from the bare store, in tests."""

from __future__ import annotations

from threading import Event

from pacs.archive import Archive
from pacs.jobs.rebuild import RebuildReport, rebuild_index


def rebuilt(archive: Archive, **options: bool) -> RebuildReport:
    """Rebuild the index of an archive and tell what was found."""
    report = RebuildReport()
    rebuild_index(archive, Event(), report, **options)
    return report
