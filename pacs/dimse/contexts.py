"""Which presentation contexts are accepted, and in which transfer syntax (PS3.8 7.1.1.13, PS3.4 B.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from pacs.dimse.negotiation import is_scp_only
from pacs.dimse.pdu import ContextResult, NegotiatedContext, ProposedContext
from pacs.dimse.user_information import Roles

NATIVE_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)


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
    proposed: Sequence[ProposedContext],
    supported_by: Callable[[str], Collection[str]],
    roles: Mapping[str, Roles],
) -> tuple[NegotiatedContext, ...]:
    """Answer every proposed presentation context, each on its own.

    Parameters
    ----------
    proposed
        The contexts of an A-ASSOCIATE-RQ.
    supported_by
        Which transfer syntaxes are taken for an abstract syntax; none when it is not supported.
    roles
        What the requestor wants to be, by abstract syntax, where it says so. A context in which it wants to
        be SCP only is rejected, for we are not SCU of what others ask for.
    """
    return tuple(
        _answer(context, supported_by(context.abstract_syntax), roles.get(context.abstract_syntax))
        for context in proposed
    )


def _answer(context: ProposedContext, supported: Collection[str], roles: Roles | None) -> NegotiatedContext:
    chosen = choose_transfer_syntax(context.transfer_syntaxes, supported)
    if chosen is not None and not is_scp_only(roles):
        return NegotiatedContext(context.context_id, context.abstract_syntax, chosen)
    if chosen is not None:
        result = ContextResult.USER_REJECTION
    elif supported:
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    return NegotiatedContext(
        context.context_id, context.abstract_syntax, context.transfer_syntaxes[0], result
    )
