"""An answer with a part of a file, on its way into a socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from storage.stored_file import StoredFile, lies_in_memory

STEP_SIZE_BYTES: Final = 1 << 20  # at a time: a client that reads as fast must not keep others waiting

_STATUS_LINE: Final = b"HTTP/1.1 200 OK\r\n"


@dataclass(slots=True)
class OutgoingAnswer:
    """An answer 200 with a part of a file between a few bytes; what has been sent is taken off it.

    The bytes before are the answer's own header fields, an empty line, and what its content begins with.
    """

    before: bytes
    file: StoredFile
    offset: int
    count: int
    after: bytes

    def complete_head(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Put the status line and more fields before its own. All are known to be well formed."""
        self.before = b"".join((_STATUS_LINE, *(b"%b: %b\r\n" % field for field in fields), self.before))

    def send(self, connected: socket.socket) -> bool:
        """Send what a socket takes and memory has, a step of the file at most; tell whether that was all.

        Raises ``OSError``.
        """
        if self.before:
            self.before = self.before[connected.send(self.before) :]
        if self.count and not self.before:
            self._send_step(connected)
        if self.after and not self.count and not self.before:
            self.after = self.after[connected.send(self.after) :]
        return not (self.before or self.count or self.after)

    def _send_step(self, connected: socket.socket) -> None:
        file, step = self.file.fileno(), min(self.count, STEP_SIZE_BYTES)
        if lies_in_memory(file, self.offset, step):
            sent = os.sendfile(connected.fileno(), file, self.offset, step)
            self.offset += sent
            self.count -= sent
