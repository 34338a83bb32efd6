"""What codecs may do to the process that wants a frame decoded: nothing."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from pacs.errors import DecodingInterrupted, DecodingUnavailable, PixelsUnavailable, UndecodablePixels
from pacs.pixels import decoding_processes
from pacs.pixels.decode import decode_frame
from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from tests.data import PROJECT
from tests.unit.pacs.pixels.images import EXPLICIT, HTJ2K, JPEG_LOSSLESS, JPEG_LS, describe, gradient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")

GIB = 1 << 30
GRAY = gradient()
DESCRIPTION = describe(JPEG_LS, Rows=32, Columns=40)
ENCODED = bytes(imagecodecs.jpegls_encode(GRAY))
PATIENT = DecodingLimits(timeout_s=60.0, memory_bytes=2 * GIB)


@contextmanager
def processes(number: int = 2, limits: DecodingLimits = PATIENT) -> Iterator[DecodingProcesses]:
    pool = DecodingProcesses(number, limits)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[DecodingProcesses]:
    with processes() as pool:
        yield pool


def children(of: int | str = "self") -> list[int]:
    """Process ids of the living decoding processes of a process."""
    own = os.getpid() if of == "self" else int(of)
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            command = status.with_name("cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if int(parent) == own and state != "Z" and b"decoding_child" in command:
            found.append(int(status.parent.name))
    return found


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def decode_one(pool: DecodingProcesses) -> np.ndarray:
    return pool.decode(ENCODED, DESCRIPTION)


def test_a_frame_is_what_it_would_be_here(shared: DecodingProcesses) -> None:
    decoded = decode_one(shared)
    assert np.array_equal(decoded, GRAY) and decoded.dtype == GRAY.dtype
    assert decoded.flags.writeable and decoded.flags.owndata


def test_what_one_frame_gave_stays_when_the_next_is_decoded(shared: DecodingProcesses) -> None:
    first = decode_one(shared)
    other = bytes(imagecodecs.jpegls_encode(GRAY[::-1].copy()))
    assert np.array_equal(shared.decode(other, DESCRIPTION), GRAY[::-1])
    assert np.array_equal(first, GRAY)


def test_frames_of_any_size_follow_one_another(shared: DecodingProcesses) -> None:
    for rows, columns in ((1, 1), (2000, 1500), (3, 5), (700, 900)):
        image = np.random.default_rng(rows).integers(0, 4096, (rows, columns)).astype(np.uint16)
        encoded = bytes(imagecodecs.jpeg8_encode(image, lossless=True, bitspersample=16))
        description = describe(JPEG_LOSSLESS, Rows=rows, Columns=columns)
        assert np.array_equal(shared.decode(encoded, description), image)


def test_what_needs_no_codec_is_decoded_without_a_process() -> None:
    with processes() as pool:
        before = children()
        assert np.array_equal(pool.decode(GRAY.tobytes(), describe(EXPLICIT, Rows=32, Columns=40)), GRAY)
        assert children() == before


def test_a_refusal_is_the_same_as_here(shared: DecodingProcesses) -> None:
    for data in (b"", ENCODED[:-9], b"\xff\xd8 no codestream"):
        with pytest.raises(UndecodablePixels) as here:
            decode_frame(data, DESCRIPTION)
        with pytest.raises(UndecodablePixels) as there:
            shared.decode(data, DESCRIPTION)
        assert str(there.value) == str(here.value)


def test_video_is_unavailable_and_not_damaged(shared: DecodingProcesses) -> None:
    with pytest.raises(PixelsUnavailable) as caught:
        shared.decode(b"", describe("1.2.840.10008.1.2.4.102"))
    assert not isinstance(caught.value, UndecodablePixels)


def test_a_process_that_was_prepared_decodes_the_first_frame() -> None:
    with processes(2) as pool:
        before = set(children())
        pool.prepare()
        prepared = set(children()) - before
        assert len(prepared) == 1
        assert np.array_equal(decode_one(pool), GRAY)
        assert set(children()) - before == prepared


def test_many_threads_share_few_processes() -> None:
    with processes(2) as pool, ThreadPoolExecutor(8) as threads:
        before = set(children())
        for decoded in threads.map(lambda _: decode_one(pool), range(60)):
            assert np.array_equal(decoded, GRAY)
        assert 1 <= len(set(children()) - before) <= 2


@contextmanager
def decoding_meanwhile(pool: DecodingProcesses) -> Iterator[tuple[int, list[BaseException]]]:
    """Stop a process and let a thread ask it for a frame; give its id, and what the thread got."""
    before = set(children())
    decode_one(pool)
    (process,) = set(children()) - before
    os.kill(process, signal.SIGSTOP)
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            decode_one(pool)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield process, caught
        thread.join(60)
        assert not thread.is_alive()
    finally:
        if process in children():
            os.kill(process, signal.SIGKILL)


def test_a_process_that_is_killed_in_mid_decode_costs_one_frame() -> None:
    with processes(1) as pool:
        with decoding_meanwhile(pool) as (process, caught):
            time.sleep(0.1)
            os.kill(process, signal.SIGKILL)
        assert [type(error) for error in caught] == [DecodingInterrupted]
        assert np.array_equal(decode_one(pool), GRAY)


def test_a_process_that_was_killed_while_it_waited_is_not_laid_to_the_next_frame() -> None:
    others = set(children())
    with processes(1) as pool:
        for _ in range(3):
            assert np.array_equal(decode_one(pool), GRAY)
            for process in set(children()) - others:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.2)  # until it is gone


def test_whatever_is_killed_no_frame_is_taken_for_another() -> None:
    images = [np.roll(GRAY, shift, axis=0) for shift in range(16)]
    frames = [bytes(imagecodecs.jpegls_encode(image)) for image in images]
    is_over = threading.Event()

    def decode_many(pool: DecodingProcesses, first: int) -> set[str]:
        outcomes = set()
        for number in range(first, first + 400):
            try:
                decoded = pool.decode(frames[number % 16], DESCRIPTION)
            except (UndecodablePixels, DecodingUnavailable):
                outcomes.add("lost")
            else:
                outcomes.add("right" if np.array_equal(decoded, images[number % 16]) else "WRONG")
        return outcomes

    def kill_some(others: set[int]) -> None:
        for _ in range(5):
            for process in set(children()) - others:
                os.kill(process, signal.SIGKILL)
            if is_over.wait(0.3):
                return

    with processes(2) as pool, ThreadPoolExecutor(5) as threads:
        killing = threads.submit(kill_some, set(children()))
        asked = [threads.submit(decode_many, pool, first) for first in range(4)]
        outcomes = set().union(*(one.result(120) for one in asked))
        is_over.set()
        killing.result(120)
        time.sleep(0.5)  # until who was killed is gone
        assert outcomes <= {"right", "lost"} and "right" in outcomes
        assert np.array_equal(decode_one(pool), GRAY)


def test_an_answer_that_nobody_waits_for_any_more_is_never_taken_for_another_frame() -> None:
    other = bytes(imagecodecs.jpegls_encode(GRAY[::-1].copy()))
    with processes(1) as pool:
        decode_one(pool)
        (process,) = pool._idle
        receive = process._receive

        def interrupt(timeout_s: float) -> bytes | None:
            raise KeyboardInterrupt

        process._receive = interrupt  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            pool.decode(other, DESCRIPTION)
        process._receive = receive  # type: ignore[method-assign]
        assert np.array_equal(decode_one(pool), GRAY)


def test_a_process_that_does_not_answer_is_ended_at_the_deadline() -> None:
    with processes(1, DecodingLimits(timeout_s=1.0, memory_bytes=2 * GIB)) as pool:
        with decoding_meanwhile(pool) as (process, caught):
            pass
        assert [type(error) for error in caught] == [DecodingInterrupted] and "longer than 1 s" in str(
            caught[0]
        )
        assert process not in children()
        assert np.array_equal(decode_one(pool), GRAY)


def test_a_codec_that_takes_more_memory_than_allowed_is_refused_it() -> None:
    with processes(1, DecodingLimits(timeout_s=60.0, memory_bytes=384 << 20)) as pool:
        # 64 megapixels: OpenJPEG takes four bytes for each, three times.
        image = np.zeros((8192, 8192), np.uint8)
        data = bytes(imagecodecs.htj2k_encode(image))
        description = describe(HTJ2K, Rows=8192, Columns=8192, BitsAllocated=8, BitsStored=8)
        with pytest.raises(UndecodablePixels):
            pool.decode(data, description)
        assert np.array_equal(decode_one(pool), GRAY)


def test_a_frame_beyond_the_memory_is_refused_before_anything_is_made() -> None:
    with processes(1, DecodingLimits(timeout_s=60.0, memory_bytes=384 << 20)) as pool:
        before = children()
        with pytest.raises(UndecodablePixels, match="memory"):
            pool.decode(ENCODED, describe(JPEG_LS, Rows=16000, Columns=16000))
        assert children() == before


def test_a_process_knows_no_secret_and_no_other_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("FILMLESS_DATABASE_URL", "postgresql://user:hush@host/db")
    with Path("/dev/zero").open("rb"), processes(1) as pool:
        before = set(children())
        decode_one(pool)
        (process,) = set(children()) - before
        assert b"hush" not in Path(f"/proc/{process}/environ").read_bytes()
        targets = {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
        kinds = {target.split(":")[0].split(" ")[0] for target in targets}
        assert kinds <= {"pipe", "socket", "/dev/null", "/memfd"}, targets


def test_processes_limit_themselves() -> None:
    with processes(1) as pool:
        before = set(children())
        decode_one(pool)
        (process,) = set(children()) - before
        limits = Path(f"/proc/{process}/limits").read_text()
    values = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert values["Max address space"] == str(2 * GIB)
    assert values["Max core file size"] == values["Max file size"] == "0"
    assert 60 <= int(values["Max cpu time"]) <= 70


def test_processes_end_when_the_pool_is_closed() -> None:
    before = set(children())
    with processes() as pool:
        decode_one(pool)
        assert set(children()) - before
    assert not set(children()) - before


def test_a_process_ends_when_nothing_comes_and_another_takes_its_place() -> None:
    with processes(1, DecodingLimits(timeout_s=60.0, memory_bytes=2 * GIB, idle_s=0.2)) as pool:
        before = set(children())
        decode_one(pool)
        wait_until(lambda: not set(children()) - before)
        assert np.array_equal(decode_one(pool), GRAY)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        "import time\n"
        "from tests.unit.pacs.pixels.test_decoding_processes import *\n"
        "pool = DecodingProcesses(1, PATIENT)\n"
        "decode_one(pool)\n"
        "print('decoded', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        text=True,
    ) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "decoded\n"
        (process,) = children(owner.pid)
        owner.kill()
    wait_until(lambda: not Path(f"/proc/{process}").exists() or _is_zombie(process))


def _is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_process_that_cannot_start_is_not_the_frame_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_processes.sys, "executable", "/nowhere/python")
    with processes(1) as pool, pytest.raises(DecodingUnavailable):
        decode_one(pool)
    monkeypatch.setattr(decoding_processes.sys, "executable", "/bin/false")
    with processes(1) as pool, pytest.raises(DecodingUnavailable):
        decode_one(pool)


def test_memory_that_cannot_be_had_is_not_the_frame_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with processes(1) as pool:
        with monkeypatch.context() as few, pytest.raises(DecodingUnavailable):
            few.setattr(decoding_processes.os, "memfd_create", refuse)
            decode_one(pool)
        assert np.array_equal(decode_one(pool), GRAY)
