"""Requests that differ from the one before on their connection in the path alone, known by their bytes.

A viewer asks for one frame after the other, in the same words. What those mean has been found out for the
first of them: to read them again, and to go through all that stands before the routes, takes longer than
everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from viewer_api.outgoing_answer import OutgoingAnswer

_METHOD: Final = b"GET "
_VERSION: Final = b" HTTP/1.1"
_MAX_SIZE_BYTES: Final = 4096  # of header fields: more is remembered of nobody

# Answers a GET of a path with the fields of one that was answered; None where the path is not that simple.
Again: TypeAlias = Callable[[str], OutgoingAnswer | None]


class RepeatedRequests:
    """What was asked last over one connection, if its answer lay in a file.

    The fields are compared as they came, from the end of the request line to the last byte, with what came
    as a whole and alone. So whatever they say of the connection, of content or of who asks, they say again.
    What can change its mind about them meanwhile has to be asked by who finds the answer.
    """

    def __init__(self) -> None:
        self._heard: tuple[RequestResponseCycle, bytes] | None = None
        self._fields = b""
        self._again: Again | None = None

    def was_heard(self, cycle: RequestResponseCycle, data: bytes) -> None:
        """Note the bytes of a whole request that came alone."""
        _, _, fields = data.partition(b"\r\n")
        self._heard = (cycle, fields) if len(fields) <= _MAX_SIZE_BYTES else None

    def was_answered(self, cycle: RequestResponseCycle, again: Again) -> None:
        """Note how to answer the next one like the request of a cycle, if that came alone."""
        if self._heard is not None and self._heard[0] is cycle and cycle.keep_alive:
            self._fields, self._again = self._heard[1], again

    def find(self, data: bytes) -> OutgoingAnswer | None:
        """Find the answer to what came; None where it is for the server to read."""
        line, _, fields = data.partition(b"\r\n")
        if self._again is None or fields != self._fields:
            return None
        if not (line.startswith(_METHOD) and line.endswith(_VERSION)):
            return None
        return self._again(line[len(_METHOD) : -len(_VERSION)].decode("latin-1"))
