"""A listener with a shelf behind it, and a peer of which every byte is ours."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pacs.archive import Archive
from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.c_echo import C_ECHO
from pacs.dimse.c_store import c_store_operation
from pacs.dimse.limits import Limits
from pacs.dimse.listener import THREAD_NAME, Listener, open_listener, open_port
from pacs.ingest import Disposition, IncomingInstance, Origin, StoreOutcome
from tests.unit.pacs.dimse import wire

HOST = "127.0.0.1"
PATIENT = Limits(close_timeout_s=0.3)
IMPATIENT = Limits(associate_timeout_s=1.0, pdu_timeout_s=0.5, close_timeout_s=0.3, rate_grace_s=0.5)


@dataclass
class Shelf:
    """Keeps what arrives in memory; ``before`` and ``after`` receiving may refuse it, or wait."""

    before: Callable[[IncomingInstance], None] = lambda _: None
    after: Callable[[IncomingInstance], None] = lambda _: None
    disposition: Disposition = Disposition.STORED
    kept: list[tuple[IncomingInstance, Origin, bytes]] = field(default_factory=list)

    @property
    def kept_uids(self) -> list[str]:
        return [incoming.sop_instance_uid for incoming, _, _ in self.kept]

    def store(self, incoming: IncomingInstance, origin: Origin) -> StoreOutcome:
        self.before(incoming)
        data = b"".join(map(bytes, incoming.chunks))
        self.after(incoming)
        self.kept.append((incoming, origin, data))
        return StoreOutcome(self.disposition, incoming.sop_class_uid, incoming.sop_instance_uid, "1.1", "1.2")


@contextlib.contextmanager
def serving(
    shelf: Shelf, limits: Limits = PATIENT, max_dataset_bytes: int = 10**7, **options: Any
) -> Iterator[Listener]:
    """A listener in a thread of its own, stopped at the end with nothing left behind."""
    store = c_store_operation(shelf.store, accept_unknown_sop_classes=True)
    operations = (C_ECHO, store, *options.pop("operations", ()))
    entity = ApplicationEntity("FILMLESS", operations, limits, max_dataset_bytes, **options.pop("entity", {}))
    listening = options.pop("listening", None) or open_port(HOST, 0)
    listener = Listener(entity, listening, **{"grace_s": 0.5, **options})
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield listener
    finally:
        listener.stop()
        thread.join(20)
    assert not thread.is_alive()


@contextlib.contextmanager
def listening(archive: Archive) -> Iterator[int]:
    """Open the DICOM door of an archive on a free port; nothing is left behind."""
    settings = archive.settings.model_copy(update={"dicom_host": HOST, "dicom_port": 0})
    listener = open_listener(replace(archive, settings=settings))
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield listener.port
    finally:
        listener.stop()
        thread.join(20)
    assert not thread.is_alive()


class Peer:
    """A requestor of which every byte is ours."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def associate(self, **more: object) -> Peer:
        self.send(wire.associate_request(**more))  # type: ignore[arg-type]
        assert self.read_pdu()[0] == 2
        return self

    def read_pdu(self) -> bytes:
        header = self._read(6)
        return header + self._read(struct.unpack(">BxI", header)[1])

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, f"closed after {data!r}"
            data += part
        return data

    def read_all(self) -> bytes:
        """Everything until the acceptor closes."""
        data = b""
        while part := self.socket.recv(65536):
            data += part
        return data

    def status(self) -> int:
        return int.from_bytes(wire.decode_response(self.read_pdu())[0x0900], "little")

    def release(self) -> None:
        self.send(wire.RELEASE_RQ)
        assert self.read_pdu() == wire.RELEASE_RP
        self.socket.close()


def association_threads() -> int:
    return sum(thread.name == THREAD_NAME for thread in threading.enumerate())


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    assert condition()
