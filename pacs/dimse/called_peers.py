"""How a peer of the table is called: where it is, and over TLS if it wants that."""

from __future__ import annotations

import ssl
from functools import lru_cache

from pacs.dimse.requestor import Peer
from pacs.dimse.secure_transport import Credentials, requestor_context, tls_credentials
from pacs.errors import NotFound
from pacs.index.known_peers import KnownPeer
from pacs.settings import Settings


def peer_to_call(known: KnownPeer, settings: Settings) -> Peer:
    """Return whom to ask for an association.

    Raises
    ------
    NotFound
        The peer has no host and port: it only calls us.
    pacs.errors.SettingsError
        It is to be called over TLS, and our certificates are not set or cannot be used.
    """
    if known.host is None or known.port is None:
        raise NotFound(f"{known.ae_title} has no host and port to be called at")
    tls = _context(tls_credentials(settings)) if known.tls else None
    return Peer(known.host, known.port, known.ae_title, tls, known.certificate_sha256)


@lru_cache(maxsize=4)
def _context(credentials: Credentials) -> ssl.SSLContext:
    return requestor_context(credentials)
