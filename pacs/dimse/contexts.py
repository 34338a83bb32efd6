"""Which presentation contexts are accepted, and in which transfer syntax (PS3.8 7.1.1.13, PS3.4 B.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from pacs.dimse.pdu import ContextResult, NegotiatedContext, ProposedContext

NATIVE_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)

_DICOM_ROOT = "1.2.840.10008."
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR, which does not travel (PS3.4 I.4)
# Arcs of the Standard under which storage SOP classes are registered; those to come will be found there too.
_STORAGE_ARCS = (
    "1.2.840.10008.5.1.4.1.1.",
    "1.2.840.10008.5.1.4.34.7.",
    "1.2.840.10008.5.1.4.43.",
    "1.2.840.10008.5.1.4.44.",
    "1.2.840.10008.5.1.4.45.",
)


def _known_storage_sop_classes() -> frozenset[str]:
    """Join the storage SOP classes of pynetdicom with the retired ones, which pydicom names."""
    names = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"}
    named = {uid for uid, name in names.items() if "Storage" in name and "Storage Commitment" not in name}
    return frozenset(sop_class._STORAGE_CLASSES.values()) | named - {_MEDIA_STORAGE_DIRECTORY}


_STORAGE_SOP_CLASSES = _known_storage_sop_classes()


def is_storage_sop_class(uid: str, *, accept_unknown: bool) -> bool:
    """Tell whether instances of a SOP class are taken in.

    With ``accept_unknown`` these are also the private ones and those that the Standard adds after this
    version, recognised by their place in the tree; never those that are known to be another service, such
    as the FIND, MOVE and GET of an information model.

    References
    ----------
    PS3.4 B.5, GG.3; PS3.6 Table A-1
    """
    if uid in _STORAGE_SOP_CLASSES:
        return True
    if not accept_unknown or uid in UID_dictionary:
        return False
    return uid.startswith(_STORAGE_ARCS) or not uid.startswith(_DICOM_ROOT)


def choose_transfer_syntax(proposed: Sequence[str], supported: Collection[str]) -> str | None:
    """Choose one of the transfer syntaxes that a context proposes, None when no one is supported.

    The first supported one, for senders put the encoding that they hold first: what is compressed arrives
    as it is, and no device is made to transcode. If that is Implicit VR Little Endian or Explicit VR Big
    Endian and Explicit VR Little Endian is proposed too, then the latter: to a sender it is the same
    effort, and it keeps the VRs of private elements, which implicit VR loses.
    """
    chosen = next((uid for uid in proposed if uid in supported), None)
    if chosen in NATIVE_TRANSFER_SYNTAXES and EXPLICIT_VR_LITTLE_ENDIAN in proposed:
        return EXPLICIT_VR_LITTLE_ENDIAN
    return chosen


def negotiate(
    proposed: Sequence[ProposedContext], supported_by: Callable[[str], Collection[str]]
) -> tuple[NegotiatedContext, ...]:
    """Answer every proposed presentation context, each on its own.

    Parameters
    ----------
    proposed
        The contexts of an A-ASSOCIATE-RQ.
    supported_by
        Which transfer syntaxes are taken for an abstract syntax; none when it is not supported.
    """
    return tuple(_answer(context, supported_by(context.abstract_syntax)) for context in proposed)


def _answer(context: ProposedContext, supported: Collection[str]) -> NegotiatedContext:
    chosen = choose_transfer_syntax(context.transfer_syntaxes, supported)
    if chosen is not None:
        return NegotiatedContext(context.context_id, context.abstract_syntax, chosen)
    result = (
        ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        if supported
        else ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    )
    return NegotiatedContext(
        context.context_id, context.abstract_syntax, context.transfer_syntaxes[0], result
    )
