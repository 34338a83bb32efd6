"""Whether an instance that was not taken may be taken another time, and how that is told."""

from __future__ import annotations

from typing import Final

from pacs.dimse import statuses
from pacs.dimse.requestor import PeerUnreachable
from pacs.dimse.retrieving.courier import Delivered
from pacs.dimse.retrieving.progress import SubOperationResult
from pacs.errors import DecodingInterrupted, DecodingUnavailable, IndexUnavailable
from pacs.index.send_jobs import SentInstance
from storage.errors import StoreFull, StoreUnavailable

_PASSING_ERRORS: Final = (
    PeerUnreachable,
    StoreUnavailable,
    StoreFull,
    IndexUnavailable,
    DecodingUnavailable,
    DecodingInterrupted,
    MemoryError,
)


def may_pass(delivered: Delivered) -> bool:
    """Tell whether an instance failed for a reason that may be gone another time."""
    if delivered.result is not SubOperationResult.FAILED:
        return False
    if delivered.error is not None:
        return isinstance(delivered.error, _PASSING_ERRORS)
    return statuses.may_pass(delivered.status or 0)


def note(sop_instance_uid: str, delivered: Delivered) -> SentInstance:
    """Put down what became of an instance, without the words of an error that may hold anything."""
    refused = delivered.result is SubOperationResult.FAILED
    error = None if delivered.error is None else type(delivered.error).__name__
    return SentInstance(sop_instance_uid, refused, delivered.status, error)


def tell(delivered: Delivered) -> str:
    """Say in a few words why an instance was not taken."""
    if isinstance(delivered.error, PeerUnreachable):
        return str(delivered.error)
    if delivered.error is not None:
        return type(delivered.error).__name__
    return f"the peer answers {delivered.status or 0:04X}"
