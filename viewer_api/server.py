"""Running the HTTP door: one uvicorn server in this process, on a port that others may share."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import uvicorn

from pacs.archive import Archive
from pacs.errors import DecodingUnavailable
from viewer_api.app import create_app
from viewer_api.file_serving import FileServingProtocol

_GRACE_S = 8
_BACKLOG = 1024
_COLLECTED_AFTER = 20_000, 20, 20  # new objects, and rounds of the generations before


def serve(archive: Archive, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight have eight seconds to finish.

    Parameters
    ----------
    ready
        Called once, when connections are accepted.
    """
    settings = archive.settings
    config = uvicorn.Config(
        create_app(archive),
        log_config=None,
        access_log=False,  # a query string holds what people search for: names
        server_header=False,
        proxy_headers=False,  # links come from PUBLIC_URL, never from a header
        timeout_graceful_shutdown=_GRACE_S,
        http=FileServingProtocol,
        lifespan="on",
    )
    _collect_seldom()
    listening = _listen(settings.http_host, settings.http_port)
    Thread(target=_prepare_decoding, args=(archive,), daemon=True).start()
    _Server(config, ready).run(sockets=[listening])


def _prepare_decoding(archive: Archive) -> None:
    with suppress(DecodingUnavailable):  # who asks for a frame will be told
        archive.decoding.prepare()


def _collect_seldom() -> None:
    """Look for cycles among what requests make, not among what the process has made to serve them.

    An answer of a hundred studies is some thousand dictionaries, none of them in a cycle. By default
    the collector looks through them, and through everything else, while they are being made: that
    takes twice as long as making them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((host, port))
    listening.listen(_BACKLOG)
    return listening


class _Server(uvicorn.Server):
    """Tells when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
