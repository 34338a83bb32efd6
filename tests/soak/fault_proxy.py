"""A TCP proxy that breaks connections: between the archive and its object store or its database."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

_CHUNK_BYTES = 64 * 1024
_HTTP_REQUESTS = (b"PUT ", b"GET ", b"HEAD ", b"POST ", b"DELETE ")
_SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 51\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message></Message></Er>"
)


class Fault(Enum):
    """What may happen to a chunk of bytes on its way."""

    CUT = "cut"  # half of it goes on, then both sides are closed
    RESET = "reset"  # the same with RST instead of FIN
    DELAY = "delay"
    BLACK_HOLE = "black hole"  # nothing goes on, and nobody is told
    BUSY = "503"  # an answer of our own to the beginning of an HTTP request
    CUT_ANSWER = "cut answer"  # what was asked for is done, and nobody hears of it


class FaultProxy:
    """Forwards connections to a port of 127.0.0.1; while it is ``faulty``, some chunks meet a fault.

    What met a black hole stays in it when faults are over: the server never hears that its client has gone.

    Runs in a thread of its own, until the end of the ``with`` block of :func:`fault_proxy`.
    """

    def __init__(self, target_port: int, faults: tuple[Fault, ...], probability: float) -> None:
        self.port = 0
        self.faulty = False
        self.met: Counter[str] = Counter()
        self._target_port = target_port
        self._faults = faults
        self._probability = probability
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to forward."""
        self._thread.start()
        assert self._listening.wait(10)

    def stop(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        for writer in list(self._writers):
            writer.transport.abort()
        self._loop.run_until_complete(_cancelled(asyncio.all_tasks(self._loop)))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # which asyncio's own callback would complain about
            await self._forward(reader, writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, onward_writer}
        self._writers |= ends
        try:
            ways = [
                self._pump(reader, onward_writer, writer, is_request=True),
                self._pump(onward_reader, writer, onward_writer, is_request=False),
            ]
            pumps = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        finally:
            self._writers -= ends
            for end in ends:
                end.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        *,
        is_request: bool,
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                fault = self._choose(chunk, is_request)
                if fault is Fault.DELAY:
                    await asyncio.sleep(random.uniform(0.05, 0.5))
                elif fault is Fault.BLACK_HOLE:
                    await asyncio.sleep(3600)
                elif fault is Fault.BUSY:
                    back.write(_SLOW_DOWN)
                    await back.drain()
                    return
                elif fault is not None:
                    await self._break_off(fault, chunk, writer, back)
                    return
                writer.write(chunk)
                await writer.drain()

    def _choose(self, chunk: bytes, is_request: bool) -> Fault | None:
        if not self.faulty or random.random() >= self._probability:
            return None
        possible = [
            fault
            for fault in self._faults
            if (fault is not Fault.BUSY or (is_request and chunk.startswith(_HTTP_REQUESTS)))
            and (fault is not Fault.CUT_ANSWER or not is_request)
        ]
        fault = random.choice(possible)
        self.met[fault.value] += 1
        return fault

    @staticmethod
    async def _break_off(
        fault: Fault, chunk: bytes, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        if fault is not Fault.CUT_ANSWER:
            writer.write(chunk[: len(chunk) // 2])
            await writer.drain()
        if fault is Fault.RESET:
            for end in (writer, back):
                end.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                end.transport.abort()


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def fault_proxy(target_port: int, faults: tuple[Fault, ...], probability: float) -> Iterator[FaultProxy]:
    """Run a proxy until the end of the block."""
    proxy = FaultProxy(target_port, faults, probability)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
