"""In which transfer syntax each instance of an answer goes out, and its bytes (PS3.18 8.7.3, 10.4.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from pacs.archive import Archive
from pacs.conversion import convert_instance, convertible_syntaxes, has_pixel_data
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.errors import ArchiveError
from pacs.index.records import StoredInstance
from pacs.pixels.transcode import TARGET_SYNTAXES
from pacs.retrieve import read_chunks, split_by_presence
from storage.errors import ObjectNotFound
from viewer_api.media_types import DICOM
from viewer_api.negotiation import Representation
from viewer_api.problems import NotAcceptable, code_location
from viewer_api.streaming import primed

_JPEG: Final = "1.2.840.10008.1.2.4."
# Compressed without loss, by their names. Others may have lost something, and then what is stored is all that
# there is: PS3.18 8.7.3 lets them go out as they are.
_LOSSLESS: Final = frozenset(
    {
        *("1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"),
        *(_JPEG + number for number in ("57", "58", "70", "80", "90", "110", "201", "202")),
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutgoingInstance:
    """An instance and the transfer syntax that it goes out in."""

    instance: StoredInstance
    transfer_syntax_uid: str

    @property
    def as_stored(self) -> bool:
        """Whether it goes out byte for byte."""
        return self.transfer_syntax_uid == self.instance.transfer_syntax_uid


@dataclass(frozen=True, slots=True)
class Answerable:
    """What of an answer can be sent, and how many instances cannot."""

    instances: list[OutgoingInstance]
    missing: int = 0
    inconvertible: int = 0

    @property
    def as_stored(self) -> bool:
        """Whether all instances go out byte for byte."""
        return all(outgoing.as_stored for outgoing in self.instances)

    @property
    def warning(self) -> str | None:
        """The value of the Warning header field; None where nothing is left out."""
        reasons = []
        if self.missing:
            reasons.append(f"{self.missing} missing in the store")
        if self.inconvertible:
            reasons.append(f"{self.inconvertible} not available in this transfer syntax")
        return f'299 filmless "instances left out: {", ".join(reasons)}"' if reasons else None


def common_syntax(instances: Iterable[StoredInstance]) -> str | None:
    """Return the transfer syntax that all instances are stored in; None where they differ."""
    syntaxes = {instance.transfer_syntax_uid for instance in instances}
    return syntaxes.pop() if len(syntaxes) == 1 else None


@cache
def instance_representations(
    transfer_syntax_uid: str | None, *, media_type: str = DICOM, multipart: bool = True
) -> Sequence[Representation]:
    """List the forms in which instances can be sent, in the server's order of preference.

    The first is the stored one, for who asks for it or for any (``transfer-syntax=*``); the second, of no
    transfer syntax, is the default of PS3.18 8.7.3, for who asks for none.

    Parameters
    ----------
    transfer_syntax_uid
        What :func:`common_syntax` tells of them.
    """
    stored = Representation(media_type, transfer_syntax_uid, multipart, implied=False)
    targets = [EXPLICIT_VR_LITTLE_ENDIAN, *TARGET_SYNTAXES]
    others = (uid for uid in targets if uid != transfer_syntax_uid)
    return (
        stored,
        Representation(media_type, None, multipart),
        *(Representation(media_type, uid, multipart, implied=False) for uid in others),
    )


def is_surely_stored(transfer_syntax_uid: str, chosen: Representation) -> bool:
    """Tell whether instances of a transfer syntax are in the chosen form already, whatever their pixels."""
    return transfer_syntax_uid == (chosen.transfer_syntax_uid or EXPLICIT_VR_LITTLE_ENDIAN)


def plan_answer(
    archive: Archive,
    instances: Sequence[StoredInstance],
    offered: Sequence[Representation],
    chosen: Representation,
) -> Answerable:
    """Find out what can be sent of ``instances`` in the chosen one of the forms that were offered.

    What is missing in the store, or not to be had in this form, does not keep the rest from being sent.

    Raises
    ------
    storage.errors.ObjectNotFound
        The store has none of them.
    NotAcceptable
        None of them can be had in this form.
    """
    present, missing = split_by_presence(archive, instances)
    if not present:
        raise ObjectNotFound(f"none of {len(missing)} objects is in the store")
    if missing:
        _log.error("%d of %d objects are missing in the store", len(missing), len(instances))
    outgoing = []
    for instance in present:
        uid: str | None = instance.transfer_syntax_uid
        if chosen != offered[0]:
            uid = _outgoing_syntax(archive, instance, chosen.transfer_syntax_uid)
        if uid is not None:
            outgoing.append(OutgoingInstance(instance, uid))
    if not outgoing:
        raise NotAcceptable([str(one) for one in offered[:2]])
    return Answerable(outgoing, len(missing), len(present) - len(outgoing))


def _outgoing_syntax(archive: Archive, instance: StoredInstance, wanted: str | None) -> str | None:
    """Decide on a transfer syntax; ``wanted`` is None for the default. None where there is none."""
    stored = instance.transfer_syntax_uid
    if stored == (wanted or EXPLICIT_VR_LITTLE_ENDIAN):
        return stored
    if wanted is None and TRANSFER_SYNTAXES[stored].encapsulated and stored not in _LOSSLESS:
        return stored
    convertible = convertible_syntaxes(archive, instance)
    if wanted is None:
        return EXPLICIT_VR_LITTLE_ENDIAN if EXPLICIT_VR_LITTLE_ENDIAN in convertible else stored
    if wanted in convertible:
        return wanted
    if not has_pixel_data(instance):  # nothing to compress
        return next((uid for uid in [stored, *convertible] if uid == EXPLICIT_VR_LITTLE_ENDIAN), None)
    return None


def read_outgoing(archive: Archive, outgoing: OutgoingInstance) -> tuple[str, Iterator[bytes]]:
    """Return the transfer syntax in which an instance really goes out, and its bytes.

    What turns out to be damaged, when its first frame is converted, goes out as it is stored: better than not
    at all, or than to keep the rest from being sent.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    instance = outgoing.instance
    if not outgoing.as_stored:
        try:
            chunks = primed(convert_instance(archive, instance, outgoing.transfer_syntax_uid))
        except ArchiveError as error:
            _log.warning("%s is sent as stored: %s", instance.sop_instance_uid, code_location(error))
        else:
            return outgoing.transfer_syntax_uid, chunks
    return instance.transfer_syntax_uid, read_chunks(archive, instance)
