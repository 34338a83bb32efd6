"""Which presentation contexts are accepted, and in which transfer syntax (PS3.8 7.1.1.13, PS3.4 B.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.dimse.pdu import ContextResult, NegotiatedContext, ProposedContext
from pacs.dimse.user_information import SCU_ONLY, Roles

NATIVE_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)

# Video Endoscopic, Microscopic and Photographic Image Storage (PS3.4 B.5)
_VIDEO_SOP_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.77.1.{number}.1" for number in (1, 2, 4))


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


def choose_syntax_to_send(
    abstract_syntax: str, proposed: Sequence[str], supported: Collection[str]
) -> str | None:
    """Choose the transfer syntax of a context in which we are to send, None when no one is supported.

    What will be asked for is not known yet, and everything but a video can be sent uncompressed: so a native
    one is chosen where it is proposed, unless the context is for video. A requestor that wants to get images
    as they are stored proposes a context for each transfer syntax (PS3.4 C.4.3.3.2).
    """
    syntaxes = [uid for uid in proposed if uid in supported]
    is_video = abstract_syntax in _VIDEO_SOP_CLASSES
    video = [uid for uid in syntaxes if is_video and TRANSFER_SYNTAXES[uid].video]
    native = [uid for uid in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN) if uid in syntaxes]
    return next(iter((*video, *native, *syntaxes)), None)


class Capability(NamedTuple):
    """What an acceptor does of one abstract syntax, as the transfer syntaxes that it takes for it."""

    performed: Collection[str] = ()  # it is SCP
    invoked: Collection[str] = ()  # it is SCU, on an association that others asked for

    def roles(self, proposed: Roles | None) -> Roles:
        """Return what a requestor may be, of what it wants to be (PS3.7 D.3.3.4.2)."""
        wanted = SCU_ONLY if proposed is None or not (proposed.scu or proposed.scp) else proposed
        return Roles(scu=wanted.scu and bool(self.performed), scp=wanted.scp and bool(self.invoked))


def negotiate(
    proposed: Sequence[ProposedContext],
    capability: Callable[[str], Capability],
    roles: Mapping[str, Roles],
) -> tuple[NegotiatedContext, ...]:
    """Answer every proposed presentation context, each on its own.

    Parameters
    ----------
    proposed
        The contexts of an A-ASSOCIATE-RQ.
    capability
        What is done here of an abstract syntax.
    roles
        What the requestor wants to be, by abstract syntax, where it says so. A context in which it would get
        no role that it wants is rejected.
    """
    return tuple(
        _answer(context, capability(context.abstract_syntax), roles.get(context.abstract_syntax))
        for context in proposed
    )


def _answer(context: ProposedContext, capability: Capability, proposed: Roles | None) -> NegotiatedContext:
    roles = capability.roles(proposed)
    supported = capability.performed if roles.scu else capability.invoked if roles.scp else ()
    if roles.scu:
        chosen = choose_transfer_syntax(context.transfer_syntaxes, supported)
    else:
        chosen = choose_syntax_to_send(context.abstract_syntax, context.transfer_syntaxes, supported)
    if chosen is not None:
        return NegotiatedContext(context.context_id, context.abstract_syntax, chosen, roles=roles)
    if supported:
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    elif capability.performed or capability.invoked:
        result = ContextResult.USER_REJECTION
    else:
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    return NegotiatedContext(
        context.context_id, context.abstract_syntax, context.transfer_syntaxes[0], result
    )
