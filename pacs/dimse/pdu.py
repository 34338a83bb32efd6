"""The protocol data units of both sides of an association, as bytes (PS3.8 9.3). No socket here.

pynetdicom's classes are not used: an A-ASSOCIATE-RQ of 128 KiB full of tiny items costs them a third of a
second of CPU before anybody knows who is calling. This parser stops at the first item that breaks a limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

from pacs.dimse.endings import REJECT_CAUSES, AbortReason, AbortSource, RejectCause, invalid_parameter
from pacs.dimse.items import encode_item, items, text_of, uid_of
from pacs.dimse.user_information import (
    SCU_ONLY,
    Roles,
    SubItem,
    UserInformation,
    encode_user_information,
    parse_maximum_length,
    parse_user_information,
)
from storage.store import Buffer

HEADER = struct.Struct(">BxI")  # type, length of what follows
PDV_HEADER = struct.Struct(">IBB")  # length of the rest, presentation context ID, message control header
MAX_CONTEXTS = 128  # IDs are the odd numbers of one byte (PS3.8 Table 9-13)
MAX_TRANSFER_SYNTAXES = 64

_P_DATA_HEADERS = struct.Struct(">BxIIBB")  # HEADER and PDV_HEADER
_WRITE_SIZE_BYTES = 224 * 1024
_READ_SIZE_BYTES = 256 * 1024  # what is read anew lies in memory that was just used, and is near
_MOST_PARTS = 512  # of a write: the kernel takes twice as many at a time
_FIXED_FIELDS = struct.Struct(">Hxx64s")  # protocol version; called, calling AE title and 32 reserved bytes
_APPLICATION_CONTEXT, _PROPOSED_CONTEXT, _CONTEXT_RESULT, _USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"


class PduType(IntEnum):
    """The seven kinds (PS3.8 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ContextResult(IntEnum):
    """What became of a proposed presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as the requestor proposes it, its transfer syntaxes in its order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NegotiatedContext:
    """A presentation context as it was answered; the transfer syntax counts only when accepted.

    ``roles`` are those of the requestor: where it is SCP, the acceptor may invoke operations on it.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax_uid: str
    result: ContextResult = ContextResult.ACCEPTANCE
    roles: Roles = SCU_ONLY


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ. ``ae_titles`` is the field of 64 bytes that the answer has to repeat."""

    protocol_version: int
    ae_titles: bytes
    application_context_name: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation

    @property
    def called_ae_title(self) -> str:
        """Whom the requestor wants, without padding."""
        return _ae_title(self.ae_titles[:16])

    @property
    def calling_ae_title(self) -> str:
        """Who the requestor says it is, without padding."""
        return _ae_title(self.ae_titles[16:32])

    @property
    def speaks_dicom(self) -> bool:
        """Whether the application context is that of DICOM (PS3.7 A.2.1)."""
        return self.application_context_name == _APPLICATION_CONTEXT_NAME


def parse_associate_request(body: bytes | memoryview) -> AssociateRequest:
    """Parse what follows the header of an A-ASSOCIATE-RQ; items that we do not know are passed over.

    Raises
    ------
    AssociationAborted
        A length that lies, more contexts or transfer syntaxes than there can be, a UID that is too long.

    References
    ----------
    PS3.8 9.3.2, D.1; PS3.7 D.3.3
    """
    if len(body) < _FIXED_FIELDS.size:
        raise invalid_parameter("the A-ASSOCIATE-RQ is shorter than its fixed fields")
    protocol_version, ae_titles = _FIXED_FIELDS.unpack_from(body)
    application_context_name = ""
    contexts: dict[int, ProposedContext] = {}
    user = UserInformation()
    for kind, value in items(memoryview(body)[_FIXED_FIELDS.size :]):
        if kind == _APPLICATION_CONTEXT:
            application_context_name = uid_of(value)
        elif kind == _PROPOSED_CONTEXT:
            _add_context(contexts, value)
        elif kind == _USER_INFORMATION:
            user = parse_user_information(value)
    if not contexts:
        raise invalid_parameter("the A-ASSOCIATE-RQ proposes no presentation context")
    return AssociateRequest(
        protocol_version=protocol_version,
        ae_titles=ae_titles,
        application_context_name=application_context_name,
        contexts=tuple(contexts.values()),
        user=user,
    )


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC: the accepted presentation contexts by ID, and what its sender takes in."""

    transfer_syntaxes: Mapping[int, str]
    maximum_length: int


def parse_associate_accept(body: bytes | memoryview) -> AssociateAccept:
    """Parse what follows the header of an A-ASSOCIATE-AC.

    Raises
    ------
    AssociationAborted
        A length that lies.

    References
    ----------
    PS3.8 9.3.3
    """
    transfer_syntaxes: dict[int, str] = {}
    user: dict[int, memoryview] = {}
    for kind, value in items(memoryview(body)[_FIXED_FIELDS.size :]):
        if kind == _CONTEXT_RESULT and len(value) >= 4 and value[2] == ContextResult.ACCEPTANCE:
            sub_items = dict(items(value[4:]))
            transfer_syntaxes[value[0]] = uid_of(sub_items.get(_TRANSFER_SYNTAX, memoryview(b"")))
        elif kind == _USER_INFORMATION:
            user.update(items(value))
    return AssociateAccept(transfer_syntaxes, parse_maximum_length(user.get(SubItem.MAXIMUM_LENGTH)))


def explain_associate_reject(body: bytes | memoryview) -> str:
    """Say in words what an A-ASSOCIATE-RJ means (PS3.8 Table 9-21)."""
    _, result, source, reason = body[:4]
    for cause in REJECT_CAUSES:
        if (cause.source, cause.reason) == (source, reason):
            return cause.meaning
    return f"result {result}, source {source}, reason {reason}"


def _add_context(contexts: dict[int, ProposedContext], value: memoryview) -> None:
    if len(value) < 4:
        raise invalid_parameter("a presentation context item is cut short")
    context = _proposed_context(value[0], value[4:])
    if context.context_id % 2 == 0 or context.context_id in contexts:
        raise invalid_parameter("presentation context IDs are odd and unique")
    contexts[context.context_id] = context  # so there are at most 128


def _proposed_context(context_id: int, data: memoryview) -> ProposedContext:
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for kind, value in items(data):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = uid_of(value)
        elif kind == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(uid_of(value))
            if len(transfer_syntaxes) > MAX_TRANSFER_SYNTAXES:
                raise invalid_parameter("a presentation context proposes too many transfer syntaxes")
    if not abstract_syntax or not transfer_syntaxes:
        raise invalid_parameter("a presentation context lacks its abstract or transfer syntax")
    return ProposedContext(context_id, abstract_syntax, tuple(transfer_syntaxes))


def _ae_title(value: bytes) -> str:
    return text_of(memoryview(value))


def encode_associate_accept(
    request: AssociateRequest, contexts: Sequence[NegotiatedContext], user: UserInformation
) -> bytes:
    """Encode the A-ASSOCIATE-AC that answers ``request``; ``user`` is our side of the negotiation.

    References
    ----------
    PS3.8 9.3.3: the AE titles are the request's.
    """
    results = b"".join(_context_result(context) for context in contexts)
    return _associate_pdu(PduType.ASSOCIATE_AC, request.ae_titles, results, user)


def encode_associate_request(
    called_ae_title: str, calling_ae_title: str, contexts: Sequence[ProposedContext], user: UserInformation
) -> bytes:
    """Encode an A-ASSOCIATE-RQ; ``user`` is what we propose besides contexts (PS3.8 9.3.2)."""
    ae_titles = b"".join(
        title.encode("ascii", "replace")[:16].ljust(16) for title in (called_ae_title, calling_ae_title)
    )
    proposals = b"".join(_proposal(context) for context in contexts)
    return _associate_pdu(PduType.ASSOCIATE_RQ, ae_titles, proposals, user)


def _associate_pdu(kind: PduType, ae_titles: bytes, contexts: bytes, user: UserInformation) -> bytes:
    body = (
        _FIXED_FIELDS.pack(1, ae_titles)
        + encode_item(_APPLICATION_CONTEXT, _APPLICATION_CONTEXT_NAME.encode())
        + contexts
        + encode_item(_USER_INFORMATION, encode_user_information(user))
    )
    return HEADER.pack(kind, len(body)) + body


def _context_result(context: NegotiatedContext) -> bytes:
    transfer_syntax = encode_item(_TRANSFER_SYNTAX, context.transfer_syntax_uid.encode("ascii", "replace"))
    return encode_item(_CONTEXT_RESULT, bytes((context.context_id, 0, context.result, 0)) + transfer_syntax)


def _proposal(context: ProposedContext) -> bytes:
    abstract_syntax = encode_item(_ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii"))
    transfer_syntaxes = b"".join(
        encode_item(_TRANSFER_SYNTAX, uid.encode("ascii")) for uid in context.transfer_syntaxes
    )
    return encode_item(
        _PROPOSED_CONTEXT, bytes((context.context_id, 0, 0, 0)) + abstract_syntax + transfer_syntaxes
    )


def encode_associate_reject(cause: RejectCause) -> bytes:
    """Encode an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return HEADER.pack(PduType.ASSOCIATE_RJ, 4) + bytes((0, cause.result, cause.source, cause.reason))


def encode_abort(source: AbortSource, reason: AbortReason) -> bytes:
    """Encode an A-ABORT (PS3.8 9.3.8)."""
    return HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, source, reason))


def encode_release_request() -> bytes:
    """Encode an A-RELEASE-RQ (PS3.8 9.3.6)."""
    return HEADER.pack(PduType.RELEASE_RQ, 4) + bytes(4)


def encode_release_reply() -> bytes:
    """Encode an A-RELEASE-RP (PS3.8 9.3.7)."""
    return HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def encode_data(
    context_id: int, chunks: Iterable[Buffer], maximum_length: int, *, is_command: bool
) -> Iterator[bytes]:
    """Encode a command or data set as P-DATA-TFs, one fragment in each, none longer than ``maximum_length``.

    Parameters
    ----------
    chunks
        The bytes, in pieces of any size; a piece is used up to one step after the next one was asked for.

    References
    ----------
    PS3.8 9.3.5, Annex E.2
    """
    for header, fragment in _cut(context_id, chunks, maximum_length, is_command=is_command):
        yield header + fragment


def encode_message(
    context_id: int, command: bytes, dataset: Iterable[Buffer] | None, maximum_length: int
) -> Iterator[list[Buffer]]:
    """Encode a whole message as P-DATA-TFs, in writes of some size: a system call for each costs more.

    A write is the parts of whole PDUs, none of which was copied.

    Parameters
    ----------
    dataset
        The encoded data set, piece by piece; it is read as the writes are asked for, and a piece is used
        until it was sent. The best are of `whole_fragments`.
    """
    pdus = _cut(context_id, [command], maximum_length, is_command=True)
    if dataset is not None:
        pdus = chain(pdus, _cut(context_id, dataset, maximum_length, is_command=False))
    held: list[Buffer] = []
    size = 0
    for header, fragment in pdus:
        held += (header, fragment)
        size += len(fragment)
        if size >= _WRITE_SIZE_BYTES or len(held) >= _MOST_PARTS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _cut(
    context_id: int, pieces: Iterable[Buffer], maximum_length: int, *, is_command: bool
) -> Iterator[tuple[bytes, Buffer]]:
    """Cut what is to be sent into the fragments of P-DATA-TFs, each behind the headers of its own."""
    size = _fragment_size(maximum_length)
    held: Buffer = b""
    for piece in pieces:
        uncopied = memoryview(piece) if isinstance(piece, bytes) else piece
        for start in range(0, len(piece), size):
            if held:
                yield _headers(context_id, len(held), is_command), held
            held = uncopied[start : start + size]
    yield _headers(context_id, len(held), is_command | 0b10), held


def _headers(context_id: int, fragment_size: int, control: int) -> bytes:
    return _P_DATA_HEADERS.pack(PduType.P_DATA_TF, fragment_size + 6, fragment_size + 2, context_id, control)


def _fragment_size(maximum_length: int) -> int:
    return (maximum_length - PDV_HEADER.size) & ~1  # even


def whole_fragments(maximum_length: int) -> int:
    """Tell how much of a data set is best read at a time: it fills P-DATA-TFs to the last byte."""
    size = _fragment_size(maximum_length)
    return max(_READ_SIZE_BYTES // size, 1) * size
