"""Finding what peers are to be told, as the ledger is followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event

from pacs.archive import Archive
from pacs.changes import read_entries
from pacs.dicom.performed_step_keys import StepMessageName, parse_step_message_key
from pacs.index.known_peers import KnownPeer
from pacs.index.notices import NoticeKind, NoticeWish
from pacs.jobs.ledger_following import AT_A_TIME, arrivals
from pacs.jobs.working import keep_working
from pacs.ledger.entries import Entry, StepMessage


def keep_finding_notices(archive: Archive, stop: Event) -> None:
    """Find what peers are to be told until ``stop`` is set."""
    keep_working(partial(find_notices, archive), stop, "what peers are to be told will be looked for")


def find_notices(archive: Archive) -> int:
    """Look at some of what is new, and have peers told that want it; return how many entries.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    peers = [peer for peer in archive.index.peers.list_all() if peer.wants_notices]
    if not peers:
        return 0
    cursor, began_at = archive.index.notices.cursor()
    page = read_entries(archive, cursor, AT_A_TIME)
    if page.last == cursor:
        return 0
    news = [entry for _, entry in page.entries if began_at is None or entry.at >= began_at]
    wishes = list(_wishes(archive, peers, news))
    if not archive.index.notices.advance(cursor, page.last, wishes, datetime.now(UTC)):
        return 0  # another worker was faster, and looks at the rest too
    return page.last - cursor


def _wishes(archive: Archive, peers: Sequence[KnownPeer], entries: Sequence[Entry]) -> Iterator[NoticeWish]:
    quiet = timedelta(seconds=archive.settings.notify_after_s)
    grown = _last_receipts(entries)
    messages = [one for entry in entries if isinstance(entry, StepMessage) for one in _so_far(archive, entry)]
    for peer in peers:
        if peer.wants_availability:
            for study_uid, at in grown.items():
                yield NoticeWish(peer.ae_title, NoticeKind.AVAILABLE, study_uid, at + quiet)
        if peer.wants_performed_steps:
            for name, said in messages:
                if said.calling_ae_title != peer.ae_title:  # it knows what it has said itself
                    yield _performed(peer, name, said)


def _last_receipts(entries: Sequence[Entry]) -> dict[str, datetime]:
    """Tell which studies have grown, and when the last instance of each came through a door."""
    found: dict[str, datetime] = {}
    for name, receipt in arrivals(entries):
        last = found.get(name.study_instance_uid, receipt.at)
        found[name.study_instance_uid] = max(receipt.at, last)
    return found


def _so_far(archive: Archive, message: StepMessage) -> list[tuple[StepMessageName, StepMessage]]:
    """List what was said of a step up to a message: who wants it only now gets the step whole."""
    name = parse_step_message_key(message.key)
    if name is None:
        return []
    before = [] if name.number == 1 else archive.index.performed_steps.messages(name.sop_instance_uid)
    named = [(parse_step_message_key(one.key), one) for one in [*before[: name.number - 1], message]]
    return [(known, one) for known, one in named if known is not None]


def _performed(peer: KnownPeer, name: StepMessageName, said: StepMessage) -> NoticeWish:
    return NoticeWish(
        peer.ae_title, NoticeKind.PERFORMED, name.sop_instance_uid, said.at, name.number, said.key
    )
