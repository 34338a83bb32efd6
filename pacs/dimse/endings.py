"""How an association ends otherwise than by a release (PS3.8 9.3.4 and 9.3.8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class AbortSource(IntEnum):
    """Who aborts (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the provider aborts (PS3.8 Table 9-26). A user gives no reason: zero."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


@dataclass(frozen=True, slots=True)
class RejectCause:
    """The three numbers of an A-ASSOCIATE-RJ (PS3.8 Table 9-21), and what they say."""

    result: int
    source: int
    reason: int
    meaning: str


UNSUPPORTED_APPLICATION_CONTEXT = RejectCause(1, 1, 2, "application context name not supported")
UNKNOWN_CALLING_AE_TITLE = RejectCause(1, 1, 3, "calling AE title not recognised")
UNKNOWN_CALLED_AE_TITLE = RejectCause(1, 1, 7, "called AE title not recognised")
IDENTITY_REFUSED = RejectCause(1, 2, 1, "the user is not let in")  # PS3.7 D.3.3.7.2: no reason given
UNSUPPORTED_PROTOCOL_VERSION = RejectCause(1, 2, 2, "protocol version not supported")
TEMPORARY_CONGESTION = RejectCause(2, 3, 1, "temporary congestion")
LOCAL_LIMIT_EXCEEDED = RejectCause(2, 3, 2, "local limit exceeded")
REJECT_CAUSES = (
    UNSUPPORTED_APPLICATION_CONTEXT,
    UNKNOWN_CALLING_AE_TITLE,
    UNKNOWN_CALLED_AE_TITLE,
    UNSUPPORTED_PROTOCOL_VERSION,
    TEMPORARY_CONGESTION,
    LOCAL_LIMIT_EXCEEDED,
)


class AssociationEnded(Exception):
    """Base of every ending. A handler lets it pass: there is nobody left to answer."""


class ConnectionLost(AssociationEnded):
    """The transport connection is gone."""


class HandshakeFailed(ConnectionLost):
    """TLS did not come about."""


class PeerAborted(AssociationEnded):
    """The peer sent A-ABORT."""


class RejectedByPeer(AssociationEnded):
    """The peer answered our A-ASSOCIATE-RQ with A-ASSOCIATE-RJ."""


class AssociationRejected(AssociationEnded):
    """The association is not wanted: an A-ASSOCIATE-RJ has to be sent."""

    def __init__(self, cause: RejectCause) -> None:
        super().__init__(cause.meaning)
        self.cause = cause


class AssociationAborted(AssociationEnded):
    """The association cannot go on: an A-ABORT has to be sent."""

    def __init__(
        self,
        explanation: str,
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
        source: AbortSource = AbortSource.SERVICE_PROVIDER,
    ) -> None:
        super().__init__(explanation)
        self.reason = reason
        self.source = source


def invalid_parameter(explanation: str) -> AssociationAborted:
    """Make the abort for a PDU whose content breaks the rules."""
    return AssociationAborted(explanation, AbortReason.INVALID_PARAMETER)


def invalid_message(explanation: str) -> AssociationAborted:
    """Make the abort for a DIMSE message that breaks the rules, which the service user finds out."""
    return AssociationAborted(explanation, source=AbortSource.SERVICE_USER)
