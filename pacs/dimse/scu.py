"""What we ask of others: C-ECHO and C-STORE as a service class user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from pacs.dicom.uids import parse_uid
from pacs.dimse.c_echo import VERIFICATION_SOP_CLASS
from pacs.dimse.command import CommandField, Element
from pacs.dimse.pdu import MAX_CONTEXTS
from pacs.dimse.requestor import Peer, PeerRejected, RequestedAssociation
from pacs.dimse.statuses import StatusCode
from pacs.errors import UnreadableInstance
from storage.store import Buffer

DEFAULT_AE_TITLE = "FILMLESS"
_MEDIUM_PRIORITY = 0x0000
_CHUNK_SIZE_BYTES = 1024 * 1024

Instance: TypeAlias = Dataset | Path
Offer: TypeAlias = tuple[str, str]  # SOP class UID, transfer syntax UID


def verify(
    host: str,
    port: int,
    called_ae_title: str,
    *,
    calling_ae_title: str = DEFAULT_AE_TITLE,
    timeout_s: float = 10.0,
) -> float:
    """Send a C-ECHO as `verify_peer` does."""
    peer = Peer(host, port, called_ae_title)
    return verify_peer(peer, calling_ae_title=calling_ae_title, timeout_s=timeout_s)


def verify_peer(peer: Peer, *, calling_ae_title: str = DEFAULT_AE_TITLE, timeout_s: float = 10.0) -> float:
    """Send a C-ECHO and return its round trip in seconds, without the association's.

    Raises
    ------
    PeerUnreachable, PeerRejected

    References
    ----------
    PS3.4 Annex A
    """
    offer = (VERIFICATION_SOP_CLASS, IMPLICIT_VR_LITTLE_ENDIAN)
    with RequestedAssociation(peer, calling_ae_title, [offer], timeout_s) as association:
        context = association.find_context(*offer)
        if context is None:
            raise PeerRejected(f"{peer.ae_title} does not support Verification")
        begin = perf_counter()
        response = association.perform(context, CommandField.C_ECHO_RQ, ())
        latency_s = perf_counter() - begin
    status = response.command.required_number(Element.STATUS)
    if status != StatusCode.SUCCESS:
        raise PeerRejected(f"{peer.ae_title} answered the C-ECHO with {status:04X}")
    return latency_s


def send_instances(
    host: str,
    port: int,
    called_ae_title: str,
    instances: Iterable[Instance],
    *,
    calling_ae_title: str = DEFAULT_AE_TITLE,
    timeout_s: float = 30.0,
) -> Iterator[tuple[str, int]]:
    """Send instances by C-STORE, each in the transfer syntax that it has.

    Files are sent byte for byte as they lie there. Where ``instances`` is a list, one association offers all
    that they need, up to its 128 presentation contexts; of an iterator nothing is known beforehand, and a new
    association is made when an instance needs what was not offered.

    Yields
    ------
    tuple[str, int]
        SOP Instance UID and status; 0122H where the peer accepted no presentation context for it.

    Raises
    ------
    PeerUnreachable, PeerRejected
    pacs.errors.UnreadableInstance
        An instance that does not say what it is.

    References
    ----------
    PS3.4 B.2
    """
    needed = _offers(instances) if isinstance(instances, Sequence) else []
    offers: list[Offer] = []
    with ExitStack() as current:
        for instance in instances:
            offer, sop_instance_uid = _describe(instance)
            if offer not in offers:
                current.close()
                following = needed[needed.index(offer) :] if offer in needed else [offer]
                offers = list(dict.fromkeys([*following, *offers]))[:MAX_CONTEXTS]
                peer = Peer(host, port, called_ae_title)
                association = current.enter_context(
                    RequestedAssociation(peer, calling_ae_title, offers, timeout_s)
                )
            yield sop_instance_uid, _send(association, instance, offer, sop_instance_uid)


def _offers(instances: Sequence[Instance]) -> list[Offer]:
    return list(dict.fromkeys(_describe(instance)[0] for instance in instances))


def _describe(instance: Instance) -> tuple[Offer, str]:
    if isinstance(instance, Dataset):
        names = instance.get("SOPClassUID"), instance.get("SOPInstanceUID")
        transfer_syntax_uid = str(instance.file_meta.TransferSyntaxUID)
    else:
        with instance.open("rb") as file:
            meta, _ = split_part10(iter(lambda: file.read(4096), b""))
        names = meta.sop_class_uid, meta.sop_instance_uid
        transfer_syntax_uid = meta.transfer_syntax_uid
    sop_class_uid, sop_instance_uid = (parse_uid(name or "") for name in names)
    return (sop_class_uid, parse_uid(transfer_syntax_uid)), sop_instance_uid


def _send(association: RequestedAssociation, instance: Instance, offer: Offer, sop_instance_uid: str) -> int:
    context = association.find_context(*offer)
    if context is None:
        return StatusCode.SOP_CLASS_NOT_SUPPORTED
    elements: list[tuple[Element, int | str]] = [
        (Element.PRIORITY, _MEDIUM_PRIORITY),
        (Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid),
    ]
    response = association.perform(context, CommandField.C_STORE_RQ, elements, _read(instance))
    return response.command.required_number(Element.STATUS)


def _read(instance: Instance) -> Iterator[Buffer]:
    """Read the encoded data set of an instance, without the File Meta Information."""
    if isinstance(instance, Dataset):
        syntax = instance.file_meta.TransferSyntaxUID
        encoded = encode(instance, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        if encoded is None:
            raise UnreadableInstance("the data set cannot be encoded")
        yield encoded
        return
    with instance.open("rb") as file:
        _, dataset = split_part10(iter(lambda: file.read(_CHUNK_SIZE_BYTES), b""))
        yield from dataset
