"""Decoding in other processes: a codec that dies, spins or wants all memory costs its frame and no more."""

from __future__ import annotations

import fcntl
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pacs.errors import DecodingInterrupted, DecodingUnavailable, PixelsUnavailable, UndecodablePixels
from pacs.pixels.decode import decode_frame, needs_codec
from pacs.pixels.decoding_child import (
    IDLE_EXIT_CODE,
    MAX_MESSAGE_SIZE_BYTES,
    DecodingLimits,
    Outcome,
    Request,
    name_layout,
)
from pacs.pixels.pdf_page import page_description
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.video import poster_description

Samples: TypeAlias = npt.NDArray[Any]

_START_TIMEOUT_S: Final = 60.0
_END_TIMEOUT_S: Final = 2.0
_LEAST_SHARED_SIZE_BYTES: Final = 1 << 20
_MOST_KEPT_SIZE_BYTES: Final = 64 << 20  # a process that had a larger frame is not kept: it would stay large
_FRAMES_OF_A_PROCESS: Final = 20_000  # codecs leak
_PROGRAM: Final = "import sys; from pacs.pixels.decoding_child import main; main(sys.argv[1:])"
# What Python itself needs to find this code; passwords and keys of the settings stay here.
_PASSED_VARIABLES: Final = ("LD_LIBRARY_PATH", "PATH", "PYTHONHOME")


class DecodingProcesses:
    """Decodes frames for all threads of this process, in as many other processes as are allowed.

    They start when there is something to decode, and end when nothing comes for a while.

    Parameters
    ----------
    number
        Processes at most; who finds them all busy waits.
    limits
        What each of them may use.
    """

    def __init__(self, number: int, limits: DecodingLimits) -> None:
        self._limits = limits
        self._turns = threading.BoundedSemaphore(number)
        self._lock = threading.Lock()
        self._idle: list[_DecodingProcess] = []
        self._is_closed = False

    def decode(self, data: bytes, description: PixelDescription) -> Samples:
        """Decode one frame, as :func:`~pacs.pixels.decode.decode_frame` does.

        What needs no codec is decoded here and now.

        Raises
        ------
        PixelsUnavailable, UndecodablePixels
            What ``decode_frame`` raises; also for a frame that takes more memory than is allowed.
        DecodingInterrupted
            It takes more time than is allowed, or the codec dies on it.
        DecodingUnavailable
            No process can be started, or no memory be shared with it.
        """
        if not needs_codec(description):
            return decode_frame(data, description)
        return self._decode(data, description, description)

    def decode_poster(self, data: bytes, description: PixelDescription) -> Samples:
        """Decode the first frame of a video: ``(rows, columns, 3)`` uint8, RGB.

        Raises
        ------
        PixelsUnavailable
            The optional package for it is not installed.
        UndecodablePixels, DecodingUnavailable
            As from `decode`.
        """
        return self._decode(data, description, poster_description(description))

    def draw_page(self, document: bytes) -> Samples:
        """Draw the first page of a PDF, as :func:`~pacs.pixels.pdf_page.draw_page` does.

        Raises
        ------
        PixelsUnavailable
            The optional package for it is not installed.
        UndecodablePixels, DecodingUnavailable
            As from `decode`.
        """
        description = page_description()
        return self._decode(document, description, description)

    def _decode(self, data: bytes, description: PixelDescription, made: PixelDescription) -> Samples:
        # What is decoded, and the memory in which it comes here.
        if len(data) + 2 * made.frame_size_bytes > self._limits.memory_bytes:
            raise UndecodablePixels("the frame takes more memory than is allowed")
        with self._turns:
            while (process := self._take_idle()) is not None:
                with suppress(_IdleTooLong):
                    return self._decode_in(process, data, description, made)
            return self._decode_in(_DecodingProcess(self._limits), data, description, made)

    def _decode_in(
        self, process: _DecodingProcess, data: bytes, description: PixelDescription, made: PixelDescription
    ) -> Samples:
        try:
            return process.decode(data, description, made)
        finally:
            self._put_back(process)

    def _take_idle(self) -> _DecodingProcess | None:
        """Take one that lives: what was killed while it waited must not be laid to a frame."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None or process.lives:
                return process
            process.end()

    def _put_back(self, process: _DecodingProcess) -> None:
        with self._lock:
            if process.is_usable and not self._is_closed:
                self._idle.append(process)
                return
        process.end()

    def prepare(self) -> None:
        """Start a process for the first frame to come, which then need not wait for that.

        Raises
        ------
        DecodingUnavailable
            It cannot be started.
        """
        with self._turns:
            self._put_back(_DecodingProcess(self._limits))

    def close(self) -> None:
        """End the processes; those that are busy end when they are done."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()


class _IdleTooLong(Exception):
    """The process had ended before it was asked."""


class _DecodingProcess:
    """One process, used by one thread at a time."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._memory: mmap.mmap | None = None
        self._frames = 0
        self._is_answered = True  # what it has not answered would be taken for the answer to what comes next
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs.fileno(), limits)
            except OSError as error:
                self._control.close()
                raise DecodingUnavailable(f"no decoding process can be started: {error.strerror}") from error
        if self._receive(_START_TIMEOUT_S) != bytes([Outcome.READY]):
            self._kill()
            raise DecodingUnavailable("a decoding process ends while it starts")

    @property
    def is_usable(self) -> bool:
        """Whether it can decode another frame."""
        is_large = self._memory is not None and len(self._memory) > _MOST_KEPT_SIZE_BYTES
        is_open = self._control.fileno() >= 0
        return is_open and self._is_answered and not is_large and self._frames < _FRAMES_OF_A_PROCESS

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def decode(self, data: bytes, description: PixelDescription, made: PixelDescription) -> Samples:
        """Decode one frame to what ``made`` says; when the process is lost on it, it is not usable."""
        self._frames += 1
        self._is_answered = False
        try:
            self._send(data, description, made.frame_size_bytes)
        except (BrokenPipeError, ConnectionResetError):
            answer: bytes | None = b""
        except OSError as error:
            raise DecodingUnavailable(f"no memory can be shared: {error.strerror}") from error
        else:
            answer = self._receive(self._limits.timeout_s)
        if answer is None:
            self._kill()
            raise DecodingInterrupted(f"the frame takes longer than {self._limits.timeout_s:g} s")
        if not answer:
            raise self._explain_end()
        if answer[0] == Outcome.DECODED and self._memory is not None:
            if answer[1:] != name_layout(made.dtype, made.frame_shape):
                raise UndecodablePixels("the codec made something else of the frame than what is described")
            self._is_answered = True
            values = np.frombuffer(self._memory, made.dtype, made.samples_per_frame)
            return values.reshape(made.frame_shape).copy()
        self._is_answered = True
        text = answer[1:].decode("ascii", "replace")
        raise (PixelsUnavailable if answer[0] == Outcome.UNAVAILABLE else UndecodablePixels)(text)

    def _send(self, data: bytes, description: PixelDescription, made_size_bytes: int) -> None:
        size_bytes, descriptors = None, []
        needed = max(len(data), made_size_bytes)
        if self._memory is None or len(self._memory) < needed:
            size_bytes = max(_LEAST_SHARED_SIZE_BYTES, 1 << (needed - 1).bit_length())
            descriptors.append(_make_shared_memory(size_bytes))
            self._memory = mmap.mmap(descriptors[0], size_bytes)
        try:
            self._memory[: len(data)] = data
            request = Request(len(data), description, size_bytes)
            socket.send_fds(self._control, [pickle.dumps(request)], descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _receive(self, timeout_s: float) -> bytes | None:
        """Return a message, an empty one where the process has ended, None after ``timeout_s``."""
        self._control.settimeout(timeout_s)
        try:
            return self._control.recv(MAX_MESSAGE_SIZE_BYTES)
        except TimeoutError:
            return None
        except ConnectionResetError:
            return b""

    def _explain_end(self) -> Exception:
        self._wait()  # before its lifeline is cut, which would end it in another way
        self._close()
        code = self._process.returncode
        if code == IDLE_EXIT_CODE and self._frames > 1:
            return _IdleTooLong()
        if code == -signal.SIGXCPU:
            return DecodingInterrupted(f"the frame takes longer than {self._limits.timeout_s:g} s")
        return DecodingInterrupted(f"the codec died on the frame ({code})")

    def end(self) -> None:
        """Let the process end."""
        self._close()
        self._wait()

    def _wait(self) -> None:
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _kill(self) -> None:
        self._close()
        self._process.kill()
        self._process.wait()

    def _close(self) -> None:
        self._control.close()
        if self._process.stdin is not None:
            self._process.stdin.close()


def _start(descriptor: int, limits: DecodingLimits) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    environment["OPENBLAS_NUM_THREADS"] = "1"  # its threads would take address space
    arguments = (descriptor, limits.timeout_s, limits.memory_bytes, limits.idle_s)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env=environment,
    )


def _make_shared_memory(size_bytes: int) -> int:
    """Make memory that two processes can map; return its descriptor.

    It cannot be made smaller: who then touches what is gone from a mapping dies.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(size_bytes)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("filmless-frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size_bytes)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor
