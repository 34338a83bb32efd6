"""The process in which codecs run, and what goes between it and the process that started it.

A codec is a large C library that reads what anybody may have sent. Here it has a bounded share of memory and
processor time, no file, no socket and no secret; it may die without any loss but its frame. One message goes
each way for each frame, by a socket; encoded data and decoded values lie in memory that both map. What comes
back is never unpickled: a status, a text, and bytes of a size that was known before.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import pickle
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.decode import decode_frame
from pacs.pixels.pdf_page import DOCUMENT_KEYWORD, draw_page
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.video import Samples, decode_poster

MAX_MESSAGE_SIZE_BYTES: Final = 4096
IDLE_EXIT_CODE: Final = 75
_LIFELINE: Final = 0  # standard input: a pipe that the starting process holds open, and never writes to
_STDERR: Final = 2


class Outcome(IntEnum):
    """The first byte of an answer; what follows is a text for people, or what was decoded (`name_layout`)."""

    READY = 0
    DECODED = 1
    UNDECODABLE = 2
    UNAVAILABLE = 3


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What one decoding process may use: of time for a frame, of address space in all."""

    timeout_s: float
    memory_bytes: int
    idle_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """A frame, or a video, to decode; its data lies at the beginning of the shared memory.

    ``memory_size_bytes`` tells the size of the shared memory that comes with this message; None: it is the
    one that the process has already.
    """

    data_size_bytes: int
    description: PixelDescription
    memory_size_bytes: int | None


def name_layout(dtype: np.dtype[Any], shape: Sequence[int]) -> bytes:
    """Name how decoded values lie in the shared memory; both sides have to mean the same."""
    return f"{dtype.str}{tuple(shape)}".encode()


def main(arguments: Sequence[str]) -> None:
    """Decode what the socket of the given descriptor asks for, until it is closed or nothing comes."""
    descriptor, timeout_s, memory_bytes, idle_s = arguments
    limits = DecodingLimits(float(timeout_s), int(memory_bytes), float(idle_s))
    _die_with_parent()
    _limit_resources(limits)
    with socket.socket(fileno=int(descriptor)) as control:
        try:
            control.send(bytes([Outcome.READY]))
            _silence()
            control.settimeout(limits.idle_s)
            _serve(control, limits)
        except TimeoutError:
            sys.exit(IDLE_EXIT_CODE)
        except (BrokenPipeError, ConnectionResetError):  # nobody waits any more
            pass


def _die_with_parent() -> None:
    """End, also in mid-decode, when the process that started this one ends: the kernel signals that.

    Who stops a service or a terminal's program signals all its processes; this one goes on until the frame
    that somebody waits for is done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fcntl.fcntl(_LIFELINE, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(_LIFELINE, fcntl.F_SETFL, fcntl.fcntl(_LIFELINE, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_resources(limits: DecodingLimits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # elsewhere it cannot be set
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def _silence() -> None:
    """Drop what codecs write for people: it may repeat what they read."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)


def _serve(control: socket.socket, limits: DecodingLimits) -> None:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_SIZE_BYTES, 1)
        if not message:
            return
        request: Request = pickle.loads(message)  # noqa: S301 - of the process that started this one
        if request.memory_size_bytes is not None:
            memory.close()
            memory = mmap.mmap(descriptors[0], request.memory_size_bytes)
            os.close(descriptors[0])
        _allow_processor_time(limits.timeout_s)
        control.send(_answer(request, memory))


def _allow_processor_time(seconds: float) -> None:
    """Let the kernel end this process when it has used so much more."""
    end = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def _answer(request: Request, memory: mmap.mmap) -> bytes:
    try:
        description = request.description
        values = _choose_decoder(description)(memory[: request.data_size_bytes], description)
        np.frombuffer(memory, values.dtype, values.size)[:] = values.reshape(-1)
    except UndecodablePixels as error:
        return _tell(Outcome.UNDECODABLE, str(error))
    except PixelsUnavailable as error:
        return _tell(Outcome.UNAVAILABLE, str(error))
    except MemoryError:
        return _tell(Outcome.UNDECODABLE, "the frame takes more memory than is allowed")
    return bytes([Outcome.DECODED]) + name_layout(values.dtype, values.shape)


def _choose_decoder(description: PixelDescription) -> Callable[[bytes, PixelDescription], Samples]:
    if description.keyword == DOCUMENT_KEYWORD:
        return draw_page
    return decode_poster if description.transfer_syntax.video else decode_frame


def _tell(outcome: Outcome, text: str) -> bytes:
    return bytes([outcome]) + text.encode()[: MAX_MESSAGE_SIZE_BYTES - 1]
