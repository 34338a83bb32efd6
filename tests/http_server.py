"""The application behind a real socket, in a thread of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from pacs.archive import Archive
from viewer_api.app import create_app
from viewer_api.file_serving import FileServingProtocol


@contextmanager
def serving(archive: Archive) -> Iterator[int]:
    """Serve an archive as its own server does, until the end of the block; give the port."""
    config = uvicorn.Config(create_app(archive), log_config=None, http=FileServingProtocol, lifespan="on")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
