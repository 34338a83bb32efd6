"""Asking a peer whether what it was sent is safe there, when all of it has been sent."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.dimse.called_peers import peer_to_call
from pacs.dimse.commitment_reports import note_report, request_commitment
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.index.known_peers import KnownPeer
from pacs.index.send_jobs import SendJob

MOST_ROUNDS: Final = 12
_MOST_AT_A_TIME: Final = 10_000  # instances in one request
_PATIENCE_S: Final = 5.0  # for an answer over the same association
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 6 * 3600.0
_TIMEOUT_S: Final = 30.0

_log = logging.getLogger(__name__)


def is_to_be_asked(archive: Archive, job: SendJob, peer: KnownPeer) -> bool:
    """Tell whether a peer has not said of all that it was sent that it is safe there."""
    return peer.asks_commitment and bool(archive.index.send_commitments.list_unsure(job, 1))


def ask_for_commitment(archive: Archive, job: SendJob, peer: KnownPeer) -> None:
    """Ask, and give the job back: it goes on when the peer has answered, or when it is time to ask again."""
    references = archive.index.send_commitments.list_unsure(job, _MOST_AT_A_TIME)
    transaction_uid = generate_uid(None)  # 2.25 and a random number: nobody else can know it
    pause = timedelta(seconds=min(_FIRST_PAUSE_S * 4**job.rounds, _LONGEST_PAUSE_S))
    again_at = datetime.now(UTC) + pause
    if not archive.index.send_commitments.ask(job, transaction_uid, again_at):
        return
    try:
        request_commitment(
            peer_to_call(peer, archive.settings),
            archive.settings.ae_title,
            transaction_uid,
            references,
            partial(note_report, archive, peer.ae_title),
            timeout_s=_TIMEOUT_S,
            patience_s=_PATIENCE_S,
        )
    except (PeerUnreachable, PeerRejected) as error:
        _log.warning("%s is asked for commitment later: %s", peer.ae_title, error)
        archive.index.send_commitments.note_refusal(transaction_uid, str(error), again_at)
