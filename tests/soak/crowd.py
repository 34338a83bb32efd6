"""A process full of peers that hold up a server: silent ones, and ones that drip. It costs little itself."""

from __future__ import annotations

import contextlib
import multiprocessing
import selectors
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Self

from tests.unit.pacs.dimse import wire

_HOST = "127.0.0.1"
_CROWD_ADDRESS = "127.0.0.66"
_DRIP_INTERVAL_S = 0.5
_BACK_AFTER_S = 5.0
_CONNECTED_WITHIN_S = 60.0


@dataclass(slots=True)
class _Drip:
    """Bytes that go out one at a time; what comes first goes at once."""

    at_once: bytes
    rest: bytes


class Crowd:
    """Peers that come back some seconds after they were thrown out, until the end of the block."""

    def __init__(self, port: int, silent: int, dripping: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_crowd, args=(theirs, port, silent, dripping), daemon=True)
        self.opened = 0

    def wait_until_there(self) -> None:
        """Return when each has been connected once."""
        assert self._link.poll(_CONNECTED_WITHIN_S), "the crowd is not let in"
        self._link.recv()

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._link.send("go away")
        self.opened = self._link.recv()
        self._process.join()


def _crowd(link: Connection, port: int, silent: int, dripping: int) -> None:
    in_request = _Drip(b"", wire.associate_request())
    in_data = _Drip(wire.associate_request() + wire.store_command(), wire.store_request(bytes(10_000)))
    roles = [None] * silent + [in_request, in_data] * (dripping // 2)
    crowd = _Members(port, list(roles))
    crowd.come_back()
    link.send("there")
    while not link.poll(_DRIP_INTERVAL_S):
        crowd.drip()
        crowd.notice_who_was_thrown_out()
        crowd.come_back()
    link.send(crowd.opened)


class _Members:
    def __init__(self, port: int, roles: list[_Drip | None]) -> None:
        self._port = port
        self._outside = [(0.0, role) for role in roles]  # since when it is time to come back
        self._selector = selectors.DefaultSelector()
        self._dripped: dict[socket.socket, int] = {}
        self.opened = 0

    def come_back(self) -> None:
        now = time.monotonic()
        due = [role for when, role in self._outside if when <= now]
        self._outside = [(when, role) for when, role in self._outside if when > now]
        for role in due:
            member = socket.create_connection((_HOST, self._port), 10, (_CROWD_ADDRESS, 0))
            self.opened += 1
            self._selector.register(member, selectors.EVENT_READ, role)
            if role is not None:
                self._dripped[member] = 0
                member.sendall(role.at_once)

    def drip(self) -> None:
        for key in list(self._selector.get_map().values()):
            member, role = key.fileobj, key.data
            if isinstance(role, _Drip) and isinstance(member, socket.socket):
                position = self._dripped[member]
                self._dripped[member] += 1
                with contextlib.suppress(OSError):
                    member.sendall(role.rest[position : position + 1])

    def notice_who_was_thrown_out(self) -> None:
        for key, _ in self._selector.select(0):
            member = key.fileobj
            assert isinstance(member, socket.socket)
            with contextlib.suppress(OSError):
                if member.recv(65536)[:1] in (b"\2", b"\7"):  # accepted, or aborted and soon closed
                    continue
            self._selector.unregister(member)
            self._dripped.pop(member, None)
            member.close()
            self._outside.append((time.monotonic() + _BACK_AFTER_S, key.data))
