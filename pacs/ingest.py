"""The only way in: C-STORE, STOW-RS and import all join at :func:`store_instance`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from pacs.archive import Archive
from storage.store import Buffer


class Disposition(Enum):
    """What became of an instance that was accepted."""

    STORED = "stored"
    ALREADY_STORED = "already stored"  # the same bytes again: nothing changed
    CONFLICT = "conflict"  # other bytes under a known SOP Instance UID: kept beside the first


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an instance came from."""

    door: str  # "dimse", "stow", "sweep"
    calling_ae_title: str | None = None


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """An instance on its way in.

    ``chunks`` are the bytes of the encoded data set, without preamble and file meta information, exactly as
    they arrive; a chunk may be a view of a buffer that the sender's side uses again. The two UIDs are what
    the carrying message claims (C-STORE command, file meta information), None where it does not say.
    """

    transfer_syntax_uid: str
    chunks: Iterable[Buffer]
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """An instance that is durable and indexed."""

    disposition: Disposition
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


def store_instance(archive: Archive, incoming: IncomingInstance, origin: Origin) -> StoreOutcome:
    """Keep an instance: object durable first, index committed second, and only then return.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The data set cannot be understood; nothing was kept. (InvalidUid where a UID is the reason.)
    pacs.errors.SopClassMismatch
        The data set names another SOP Class or Instance than the message.
    pacs.errors.UnsupportedTransferSyntax, pacs.errors.UnsupportedSopClass
        Not accepted here.
    pacs.errors.IndexUnavailable, storage.errors.StoreFull, storage.errors.StoreUnavailable
        Not kept; the same request may succeed later.
    """
    raise NotImplementedError
