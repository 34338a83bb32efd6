"""TLS under an association: both ends show a certificate, and nobody in between reads (PS3.15 B.12, B.13).

One context serves both profiles: it takes what the stricter one permits and no more, which is TLS 1.2 with
ephemeral elliptic-curve keys and authenticated encryption, and TLS 1.3.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pacs.dimse.endings import ConnectionLost, HandshakeFailed
from pacs.dimse.limits import Limits
from pacs.dimse.transport import Transport
from pacs.errors import SettingsError
from pacs.settings import Settings
from storage.store import Buffer

_CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_REVOCATION_LIST = b"-----BEGIN X509 CRL-----"


class Credentials(NamedTuple):
    """Files in PEM format that say who we are and whom we trust."""

    certificate: Path  # ours, and those between it and its authority
    key: Path  # its private key, without a passphrase
    authorities: Path  # whose certificates others must show; revocation lists may be among them


def tls_credentials(settings: Settings) -> Credentials:
    """Return the files that the settings name.

    Raises
    ------
    SettingsError
        They do not name all three.
    """
    files = (settings.dicom_tls_certificate, settings.dicom_tls_key, settings.dicom_tls_authorities)
    certificate, key, authorities = files
    if certificate is None or key is None or authorities is None:
        raise SettingsError(
            "DICOM over TLS needs DICOM_TLS_CERTIFICATE, DICOM_TLS_KEY and DICOM_TLS_AUTHORITIES"
        )
    return Credentials(certificate, key, authorities)


def acceptor_context(credentials: Credentials) -> ssl.SSLContext:
    """Make the context of who is connected to.

    Raises
    ------
    SettingsError
        A file cannot be read, or is not what it should be.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, credentials)


def requestor_context(credentials: Credentials) -> ssl.SSLContext:
    """Make the context of who connects. Raises what `acceptor_context` raises.

    The name in a peer's certificate is not compared with its address: devices are known by AE title, and
    certificates of modalities seldom carry the address that they happen to have.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, credentials)


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(credentials.certificate, credentials.key, password=_no_passphrase)
    except OSError as error:
        raise SettingsError(
            f"DICOM_TLS_CERTIFICATE={credentials.certificate} with DICOM_TLS_KEY={credentials.key} "
            f"cannot be used: {_reason(error)}"
        ) from None
    try:
        context.load_verify_locations(credentials.authorities)
        if _REVOCATION_LIST in credentials.authorities.read_bytes():
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except OSError as error:
        raise SettingsError(
            f"DICOM_TLS_AUTHORITIES={credentials.authorities} cannot be used: {_reason(error)}"
        ) from None
    return context


def _no_passphrase() -> bytes:
    return b""  # or OpenSSL would ask for it on the console


class SecureTransport(Transport):
    """A connected socket that speaks TLS. One thread uses it, but for `interrupt`.

    The kernel's timeouts mean nothing to OpenSSL, which would try again: Python's are used here.
    """

    def __init__(self, connection: socket.socket, limits: Limits, context: ssl.SSLContext) -> None:
        super().__init__(connection, limits)
        self._context = context
        self._peer_host = _host_of_peer(connection)
        self._handshake_timeout_s = limits.tls_handshake_timeout_s
        self._timeout_s: float | None = None
        self._ahead = b""  # received to know whether anything has arrived

    def establish(self) -> None:
        """Shake hands, and see the certificate of the other side.

        Raises
        ------
        HandshakeFailed
            It does not speak TLS, not what is permitted, shows no certificate that counts, or is slow.
        """
        is_acceptor = self._context.protocol == ssl.PROTOCOL_TLS_SERVER
        try:
            self._connection.settimeout(self._handshake_timeout_s)
            secured = self._context.wrap_socket(
                self._connection, server_side=is_acceptor, do_handshake_on_connect=False
            )
            self._connection = secured
            secured.do_handshake()
        except (OSError, ValueError) as error:
            raise HandshakeFailed(
                f"TLS with {self._peer_host} did not come about: {_reason(error)}"
            ) from None
        if self._interrupted:
            raise ConnectionLost("ended from this side")
        certificate = secured.getpeercert(binary_form=True)
        self.peer_certificate_sha256 = hashlib.sha256(certificate or b"").hexdigest()

    def has_arrived(self) -> bool:
        """Tell, without waiting, whether `receive` would return at once, or say that the peer is gone."""
        if self._ahead:
            return True
        self._set_timeout(0)
        try:
            self._ahead = self._connection.recv(1)
        except ssl.SSLWantReadError:  # nothing, or nothing but TLS's own messages
            return False
        except OSError:
            return True
        return True

    def send(self, data: bytes) -> None:
        """Send whole PDUs. Raises what `Transport.send` raises."""
        self._set_timeout(self._send_timeout_s)
        super().send(data)

    def send_parts(self, parts: Sequence[Buffer]) -> None:
        """Send whole PDUs that lie in several places. Raises what `Transport.send` raises."""
        self.send(b"".join(parts))

    def interrupt(self) -> None:
        """Have the thread that receives here give up. Called from any thread."""
        self._interrupted = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RD)  # SSLSocket's would end the encryption

    def finish(self) -> None:
        """Say that nothing more will be sent, so that the other side knows it for the end (RFC 8446 6.1)."""
        with contextlib.suppress(OSError, ValueError):
            self._set_timeout(0)
            if isinstance(self._connection, ssl.SSLSocket):
                self._connection.unwrap()  # sends the notice, and does not wait for the other side's
        super().finish()

    def _receive_in_time(self, buffer: memoryview) -> int | None:
        if self._ahead:
            buffer[:1], self._ahead = self._ahead, b""
            return 1
        try:
            self._set_timeout(self._kernel_timeout_s)
            return self._connection.recv_into(buffer)
        except TimeoutError:
            return None
        except OSError as error:
            raise ConnectionLost(_reason(error)) from None

    def _set_timeout(self, timeout_s: float) -> None:
        if timeout_s != self._timeout_s:
            self._timeout_s = timeout_s
            self._connection.settimeout(timeout_s)

    def _set_kernel_timeout(self, option: int, timeout_s: float) -> None:
        pass


def _host_of_peer(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except (OSError, IndexError):
        return "a peer that is gone"


def _reason(error: Exception) -> str:
    """Say what OpenSSL says, without the place in its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
