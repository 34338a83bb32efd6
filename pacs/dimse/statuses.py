"""The one map from what the archive refuses to what a peer is told (PS3.4 B.2.3, PS3.7 Annex C)."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pacs.errors import (
    DeletedInstance,
    DuplicateInstance,
    DuplicateProcedureStep,
    DuplicateTransaction,
    EndedProcedureStep,
    IdentifierMismatch,
    IndexUnavailable,
    InvalidAttributeValue,
    InvalidRequest,
    InvalidUid,
    MatchesUncountable,
    MissingAttribute,
    MissingAttributeValue,
    ObjectTooLarge,
    PeerRefused,
    RetrievalRefused,
    SopClassMismatch,
    TooManyRequests,
    UnknownAction,
    UnknownDestination,
    UnknownProcedureStep,
    UnreadableInstance,
    UnsupportedSopClass,
    UnsupportedTransferSyntax,
)
from storage.errors import StoreFull, StoreUnavailable

MAX_ERROR_COMMENT_LENGTH = 64  # (0000,0902) is LO
NO_LONGER_UPDATED = 0xA506  # Error ID of a Performed Procedure Step that has ended (PS3.4 F.7.2.2.4)


class StatusCode(IntEnum):
    """Values of Status (0000,0900): those below 1000H from PS3.7 Annex C, the others from PS3.4.

    What one value means depends on the service: of storage (PS3.4 B.2.3), find (C.4.1.1.4), move (C.4.2.1.5)
    or get (C.4.3.1.4). So some values have two names here.
    """

    SUCCESS = 0x0000
    OPTIONAL_ATTRIBUTES_NOT_SUPPORTED = 0x0001  # a warning of N-GET (PS3.4 F.8.2.1.4)
    INVALID_ATTRIBUTE_VALUE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107  # a warning: some attributes were not changed
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_SOP_INSTANCE = 0x0117
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_TRANSACTION_UID = 0x0131
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    CANNOT_COUNT_MATCHES = 0xA701
    CANNOT_PERFORM_SUB_OPERATIONS = 0xA702
    MOVE_DESTINATION_UNKNOWN = 0xA801
    DATA_SET_MISMATCH = 0xA900
    IDENTIFIER_MISMATCH = 0xA900
    COERCION_OF_DATA_ELEMENTS = 0xB000
    SUB_OPERATIONS_FAILED = 0xB000
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122  # of the Cxxx, this value is PS3.18 Table I.2-2's
    OBJECT_TOO_LARGE = 0xC213  # of the Cxxx, that of 0213H; an A7xx would have it sent again and again
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_WITH_WARNING = 0xFF01  # an optional key is not supported


@dataclass(frozen=True, slots=True)
class Status:
    """A status code with the Error Comment that goes along: for an engineer's log, without patient data."""

    code: StatusCode
    comment: str = ""
    error_id: int | None = None  # Error ID (0000,0903), where a service defines some


SUCCESS = Status(StatusCode.SUCCESS)
CANCEL = Status(StatusCode.CANCEL)
PENDING = Status(StatusCode.PENDING)
PENDING_WITH_WARNING = Status(StatusCode.PENDING_WITH_WARNING)

_OF_ITS_STATE = frozenset(
    {StatusCode.PROCESSING_FAILURE, StatusCode.NOT_AUTHORIZED, StatusCode.RESOURCE_LIMITATION}
)

# The first that fits counts: InvalidUid is an UnreadableInstance too. None: the error's own message says what
# is wrong with the instance. The messages of the others may name our disks and hosts, nobody's business.
_CODES: tuple[tuple[type[Exception], StatusCode, str | None], ...] = (
    (StoreFull, StatusCode.OUT_OF_RESOURCES, "out of space, try again later"),
    (StoreUnavailable, StatusCode.OUT_OF_RESOURCES, "object store not available, try again later"),
    (IndexUnavailable, StatusCode.OUT_OF_RESOURCES, "index not available, try again later"),
    (ObjectTooLarge, StatusCode.OBJECT_TOO_LARGE, None),
    (DuplicateProcedureStep, StatusCode.DUPLICATE_SOP_INSTANCE, None),
    (UnknownProcedureStep, StatusCode.NO_SUCH_SOP_INSTANCE, None),
    (EndedProcedureStep, StatusCode.PROCESSING_FAILURE, None),
    (MissingAttribute, StatusCode.MISSING_ATTRIBUTE, None),
    (MissingAttributeValue, StatusCode.MISSING_ATTRIBUTE_VALUE, None),
    (InvalidAttributeValue, StatusCode.INVALID_ATTRIBUTE_VALUE, None),
    (DuplicateInstance, StatusCode.DUPLICATE_SOP_INSTANCE, None),
    (DeletedInstance, StatusCode.NOT_AUTHORIZED, None),
    (PeerRefused, StatusCode.NOT_AUTHORIZED, None),
    (UnknownAction, StatusCode.NO_SUCH_ACTION, None),
    (TooManyRequests, StatusCode.RESOURCE_LIMITATION, None),
    (DuplicateTransaction, StatusCode.DUPLICATE_TRANSACTION_UID, None),
    (SopClassMismatch, StatusCode.DATA_SET_MISMATCH, None),
    (MatchesUncountable, StatusCode.CANNOT_COUNT_MATCHES, None),
    (RetrievalRefused, StatusCode.CANNOT_PERFORM_SUB_OPERATIONS, None),
    (UnknownDestination, StatusCode.MOVE_DESTINATION_UNKNOWN, None),
    (IdentifierMismatch, StatusCode.IDENTIFIER_MISMATCH, None),
    (InvalidRequest, StatusCode.UNABLE_TO_PROCESS, None),
    (InvalidUid, StatusCode.INVALID_SOP_INSTANCE, None),
    (UnreadableInstance, StatusCode.CANNOT_UNDERSTAND, None),
    (UnsupportedTransferSyntax, StatusCode.TRANSFER_SYNTAX_NOT_SUPPORTED, None),
    (UnsupportedSopClass, StatusCode.SOP_CLASS_NOT_SUPPORTED, None),
)


def status_of(error: Exception) -> Status | None:
    """Translate an error that the archive raises on purpose; None for any other."""
    for kind, code, comment in _CODES:
        if isinstance(error, kind):
            error_id = NO_LONGER_UPDATED if isinstance(error, EndedProcedureStep) else None
            return Status(code, str(error) if comment is None else comment, error_id)
    return None


def may_pass(status: int) -> bool:
    """Tell whether a peer that answers with this failure may answer with something else another time.

    It may after A7xx, out of resources (PS3.4 Table B.2-1), and after what its state or its administrator is
    the reason of: processing failure, not authorized, resource limitation (PS3.7 Annex C). Every other one is
    about what it was sent, and that does not change.
    """
    return status & 0xFF00 == StatusCode.OUT_OF_RESOURCES or status in _OF_ITS_STATE


def error_comment(text: str) -> str:
    """Cut and clean a text so that it is a valid Error Comment: one value of VR LO (PS3.5 6.2)."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text[:MAX_ERROR_COMMENT_LENGTH])


def code_location(error: Exception) -> str:
    """Name type and place of an unexpected error; its message may hold anything and is never logged."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
