"""Wishing that studies be sent to a peer; the worker does it (`pacs.jobs.sending`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pacs.archive import Archive
from pacs.dicom.ae_titles import parse_ae_title
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidRequest, NotFound
from pacs.index.selection import Selection
from pacs.index.send_jobs import SendJob, SendWish

MOST_PRIORITY: Final = 9


def send_studies(
    archive: Archive,
    study_instance_uids: Sequence[str],
    ae_title: str,
    *,
    origin: str,
    priority: int = 0,
    again: bool = False,
) -> list[SendJob]:
    """Have studies sent to a peer as soon as may be; return the jobs.

    Parameters
    ----------
    origin
        Who wishes for it, for those who look at the jobs later.
    priority
        Of those that wait for a peer the highest goes first, from -9 to 9.
    again
        Send also what the peer has got already.

    Raises
    ------
    NotFound
        There is no such peer, or none of the studies is wished for, as one of them is not here.
    InvalidRequest
        The peer has no address, or the priority is none.
    pacs.errors.InvalidUid, pacs.errors.IndexUnavailable
    """
    if abs(priority) > MOST_PRIORITY:
        raise InvalidRequest(f"a priority is from -{MOST_PRIORITY} to {MOST_PRIORITY}")
    peer = archive.index.peers.find(parse_ae_title(ae_title))
    if peer.dicomweb_url is None and (peer.host is None or peer.port is None):
        raise InvalidRequest(f"{ae_title} has no host and port to be called at, and no DICOMweb URL")
    uids = list(dict.fromkeys(parse_uid(uid) for uid in study_instance_uids))
    for uid in uids:
        if not archive.index.select_instances(Selection(study_instance_uids=(uid,)), 1):
            raise NotFound(f"there is no study {uid}")
    now = datetime.now(UTC)
    wishes = (SendWish(uid, ae_title, origin, priority) for uid in uids)
    return [archive.index.send_jobs.wish(wish, now, again=again) for wish in wishes]
