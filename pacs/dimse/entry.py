"""Who asks for an association, and whether it is let in (PS3.8 Table 9-21, PS3.7 D.3.3.7)."""

from __future__ import annotations

import logging

from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.callers import Caller
from pacs.dimse.endings import (
    UNSUPPORTED_APPLICATION_CONTEXT,
    UNSUPPORTED_PROTOCOL_VERSION,
    AssociationRejected,
    RejectCause,
)
from pacs.dimse.pdu import AssociateRequest
from pacs.dimse.user_identity import Identified

logger = logging.getLogger(__name__)


def recognise(
    request: AssociateRequest, entity: ApplicationEntity, address: str, certificate_sha256: str | None
) -> Caller:
    """Find out which device asks.

    Parameters
    ----------
    certificate_sha256
        What it has shown, in hexadecimal; None: it speaks no TLS.

    Raises
    ------
    AssociationRejected
        It is not let in.
    """
    if not request.protocol_version & 1:
        raise AssociationRejected(UNSUPPORTED_PROTOCOL_VERSION)
    if not request.speaks_dicom:
        raise AssociationRejected(UNSUPPORTED_APPLICATION_CONTEXT)
    titles = request.called_ae_title, request.calling_ae_title
    found = entity.receive(*titles, address, certificate_sha256)
    if isinstance(found, RejectCause):
        raise AssociationRejected(found)
    return found


def identify(
    request: AssociateRequest, entity: ApplicationEntity, address: str, *, is_secure: bool
) -> Identified:
    """Have the user looked up who is named in the request, whose secret nobody logs.

    Raises
    ------
    AssociationRejected
        The user is not let in, which counts as a guess.
    """
    identity, check = request.user.user_identity, entity.identity_check
    if identity is not None and identity.has_secret and not is_secure:
        logger.warning(
            "%s sends a passcode or token with its associations, which can be read on the way%s: "
            "take it out of that device's settings, or connect it by TLS",
            request.calling_ae_title, "" if check.logins else " and is not asked for here",
        )  # fmt: skip
    try:
        return check.identify(identity)
    except AssociationRejected:
        entity.note_failure(address)
        raise
