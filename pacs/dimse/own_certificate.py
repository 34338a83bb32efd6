"""How long the archive's own certificate counts: others say no more than that they do not like it."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

from pacs.dimse.secure_transport import Credentials

_WARNED_BEFORE: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


def warn_of_end(credentials: Credentials) -> None:
    """Log a warning where the certificate does not count now, or will not in a month."""
    try:
        ends_at = _end_of(credentials)
    except ssl.SSLCertVerificationError as error:
        told = error.verify_message
        _log.warning("DICOM_TLS_CERTIFICATE=%s: %s; devices will refuse it", credentials.certificate, told)
        return
    except (OSError, ValueError):  # what else is wrong with it is told by who uses it
        return
    if ends_at - datetime.now(UTC) < _WARNED_BEFORE:
        told = f"{ends_at:%Y-%m-%d %H:%M} UTC"
        _log.warning("DICOM_TLS_CERTIFICATE=%s expires at %s", credentials.certificate, told)


def _end_of(credentials: Credentials) -> datetime:
    """Tell when the certificate expires.

    Python's ssl tells this of nothing but a certificate that was verified. So we shake hands with ourselves,
    and trust that certificate and no other.

    Raises
    ------
    ssl.SSLCertVerificationError
        It has expired, or is not yet valid.
    OSError
        The files cannot be used.
    """
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.load_cert_chain(credentials.certificate, credentials.key, password=lambda: b"")
    theirs.load_verify_locations(credentials.certificate)
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    theirs.check_hostname = False
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    acceptor = ours.wrap_bio(to_us, to_them, server_side=True)
    requestor = theirs.wrap_bio(to_them, to_us)
    for end in (requestor, acceptor, requestor):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = requestor.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
