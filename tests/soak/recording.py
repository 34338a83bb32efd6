"""What a real requestor says in an association, recorded between it and the archive, and mutated."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.raw_sender import RawInstance, associated, send

_HOST = "127.0.0.1"
_EXTREMES = (0, 1, 2, 5, 6, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x20000, 0x7FFFFFFF, 0xFFFFFFFF)


class Recorder:
    """A relay to a port for one connection, which keeps what the requestor says, one PDU after the other."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._heard = bytearray()
        self._listening = socket.create_server((_HOST, 0))
        self.port = int(self._listening.getsockname()[1])

    @contextmanager
    def recording(self) -> Iterator[None]:
        relay = threading.Thread(target=self._relay)
        relay.start()
        try:
            yield
        finally:
            relay.join(10)
            self._listening.close()

    def _relay(self) -> None:
        requestor, _ = self._listening.accept()
        with requestor, socket.create_connection((_HOST, self._target)) as acceptor:
            back = threading.Thread(target=_copy, args=(acceptor, requestor, bytearray()))
            back.start()
            _copy(requestor, acceptor, self._heard)
            back.join(10)

    def pdus(self) -> list[bytes]:
        heard, pdus = bytes(self._heard), []
        while heard:
            end = 6 + struct.unpack_from(">BxI", heard)[1]
            pdus.append(heard[:end])
            heard = heard[end:]
        return pdus


def _copy(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    while data := source.recv(65536):
        kept += data
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def record_association(port: int, instance: RawInstance) -> list[bytes]:
    """Have pynetdicom store an instance; return its PDUs, from the A-ASSOCIATE-RQ to the A-RELEASE-RQ."""
    recorder = Recorder(port)
    offer = (instance.sop_class_uid, instance.transfer_syntax_uid)
    with recorder.recording(), associated(recorder.port, [offer]) as association:
        assert send(association, instance) == 0x0000
    pdus = recorder.pdus()
    assert [pdu[0] for pdu in pdus][:: len(pdus) - 1] == [1, 5]
    return pdus


class Mutator:
    """Makes damaged associations of a sound one. The same seed gives the same damage."""

    def __init__(self, pdus: list[bytes], seed: int) -> None:
        self._pdus = pdus
        self._random = random.Random(seed)

    def mutated(self) -> bytes:
        """Make one, by one to three steps; most damage is where lengths, types and UIDs are."""
        pdus = [bytearray(pdu) for pdu in self._pdus]
        for _ in range(self._random.randint(1, 3)):
            step = self._random.choice((self._flip, self._lie, self._cut, self._insert, self._reorder))
            step(pdus)
        return b"".join(pdus)

    def _some(self, pdus: list[bytearray]) -> bytearray:
        return self._random.choice([pdu for pdu in pdus if pdu] or [bytearray(b"\0")])

    def _position(self, pdu: bytearray) -> int:
        near = self._random.random() < 0.7
        return self._random.randrange(min(len(pdu), 200) if near else len(pdu))

    def _flip(self, pdus: list[bytearray]) -> None:
        pdu = self._some(pdus)
        pdu[self._position(pdu)] ^= 1 << self._random.randrange(8)

    def _lie(self, pdus: list[bytearray]) -> None:
        """Put an extreme number where there may be a length."""
        pdu = self._some(pdus)
        position, size = self._position(pdu), self._random.choice((1, 2, 4))
        order = self._random.choice(("big", "little"))
        value = self._random.choice(_EXTREMES) & (256**size - 1)
        pdu[position : position + size] = value.to_bytes(size, "big" if order == "big" else "little")

    def _cut(self, pdus: list[bytearray]) -> None:
        pdu = self._some(pdus)
        position = self._position(pdu)
        del pdu[position : position + self._random.choice((1, 2, 8, 100, len(pdu)))]

    def _insert(self, pdus: list[bytearray]) -> None:
        pdu = self._some(pdus)
        position = self._position(pdu)
        pdu[position:position] = self._random.randbytes(self._random.choice((1, 2, 6, 40, 2000)))

    def _reorder(self, pdus: list[bytearray]) -> None:
        """Say a PDU twice, leave one out, or exchange two."""
        one, other = self._random.randrange(len(pdus)), self._random.randrange(len(pdus))
        match self._random.randrange(3):
            case 0:
                pdus.insert(one, bytearray(pdus[other]))
            case 1 if len(pdus) > 1:
                del pdus[one]
            case _:
                pdus[one], pdus[other] = pdus[other], pdus[one]
