"""The way to a peer that is fetched from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pacs.archive import Archive
from pacs.dicomweb.connection import WebConnection
from pacs.dimse.called_peers import peer_to_call
from pacs.errors import InvalidRequest
from pacs.index.known_peers import KnownPeer
from pacs.jobs.fetching.dimse_source import DimseSource
from pacs.jobs.fetching.wanted import Source
from pacs.jobs.fetching.web_source import WebSource


@contextmanager
def opened_source(archive: Archive, known: KnownPeer, by: str | None = None) -> Iterator[Source]:
    """Give a peer as a source: by ``web``, ``get`` or ``move``; unless told, web where it has an address.

    Raises
    ------
    pacs.errors.InvalidRequest, pacs.errors.SettingsError
        The peer has no such address.
    """
    if by == "web" and known.dicomweb_url is None:
        raise InvalidRequest(f"{known.ae_title} has no DICOMweb URL; 'filmless peers change --web' sets it")
    settings = archive.settings
    if by == "web" or (by is None and known.dicomweb_url is not None):
        connection = WebConnection(known, settings)
        try:
            yield WebSource(connection)
        finally:
            connection.close()
    else:
        peer = peer_to_call(known, settings)
        yield DimseSource(peer, settings.ae_title, settings.network_timeout_s, by_move=by == "move")
