"""The other side: echo and send as a service class user, on pynetdicom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from pacs.dimse.c_echo import VERIFICATION_SOP_CLASS
from pacs.dimse.statuses import StatusCode
from pacs.errors import ArchiveError

_config.LOG_REQUEST_IDENTIFIERS = False  # identifiers name patients
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.STORE_SEND_CHUNKED_DATASET = True  # files go out as they lie there, never decoded

MAX_CONTEXTS = 128
DEFAULT_AE_TITLE = "FILMLESS"

Instance: TypeAlias = Dataset | Path
Offer: TypeAlias = tuple[str, str]  # SOP class UID, transfer syntax UID


class PeerUnreachable(ArchiveError):
    """The peer does not answer, or stopped answering."""


class PeerRejected(ArchiveError):
    """The peer answers, and does not want to talk to us, or not about this."""


def verify(
    host: str,
    port: int,
    called_ae_title: str,
    *,
    calling_ae_title: str = DEFAULT_AE_TITLE,
    timeout_s: float = 10.0,
) -> float:
    """Send a C-ECHO and return its round trip in seconds, without the association's.

    Raises
    ------
    PeerUnreachable, PeerRejected

    References
    ----------
    PS3.4 Annex A
    """
    association = _associate(
        host,
        port,
        called_ae_title,
        calling_ae_title,
        [(VERIFICATION_SOP_CLASS, "1.2.840.10008.1.2")],
        timeout_s,
    )
    try:
        if not association.accepted_contexts:
            raise PeerRejected(f"{called_ae_title} does not support Verification")
        begin = perf_counter()
        status = association.send_c_echo()
        latency_s = perf_counter() - begin
    finally:
        association.release()
    if "Status" not in status:
        raise PeerUnreachable(f"{called_ae_title} did not answer the C-ECHO")
    if status.Status != StatusCode.SUCCESS:
        raise PeerRejected(f"{called_ae_title} answered the C-ECHO with {status.Status:04X}")
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

    References
    ----------
    PS3.4 B.2
    """
    needed = (
        list(dict.fromkeys(_describe(i)[0] for i in instances)) if isinstance(instances, Sequence) else []
    )
    offers: list[Offer] = []
    association: Association | None = None
    try:
        for instance in instances:
            offer, sop_instance_uid = _describe(instance)
            if association is None or offer not in offers:
                if association is not None:
                    association.release()
                offers = list(dict.fromkeys([offer, *_following(offer, needed), *offers]))[:MAX_CONTEXTS]
                association = _associate(host, port, called_ae_title, calling_ae_title, offers, timeout_s)
            yield sop_instance_uid, _send(association, instance, offer)
    finally:
        if association is not None and association.is_established:
            association.release()


def _describe(instance: Instance) -> tuple[Offer, str]:
    if isinstance(instance, Dataset):
        sop_class_uid, sop_instance_uid = instance.SOPClassUID, instance.SOPInstanceUID
        meta = instance.file_meta
    else:
        meta = read_file_meta_info(instance)
        sop_class_uid, sop_instance_uid = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    return (str(sop_class_uid), str(meta.TransferSyntaxUID)), str(sop_instance_uid)


def _following(offer: Offer, needed: list[Offer]) -> list[Offer]:
    return needed[needed.index(offer) :] if offer in needed else []


def _send(association: Association, instance: Instance, offer: Offer) -> int:
    if not association.is_established:
        raise PeerUnreachable("the peer ended the association")
    accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
    if offer not in accepted:
        return StatusCode.SOP_CLASS_NOT_SUPPORTED
    status = association.send_c_store(instance)
    if "Status" not in status:
        raise PeerUnreachable("the association was lost while sending")
    return int(status.Status)


def _associate(
    host: str, port: int, called_ae_title: str, calling_ae_title: str, offers: list[Offer], timeout_s: float
) -> Association:
    ae = AE(ae_title=calling_ae_title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    contexts = [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in offers]
    association = ae.associate(host, port, contexts, ae_title=called_ae_title)
    if association.is_established:
        return association
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = answer.reason_str if answer else "no reason given"
        raise PeerRejected(f"{called_ae_title} rejected the association: {reason}")
    raise PeerUnreachable(f"no association with {called_ae_title} at {host}:{port}")
