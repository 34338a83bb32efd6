"""``python -m tests.bench.decoding``: a frame decoded in a process of its own beside one decoded here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import imagecodecs
import numpy as np
import typer

from pacs.pixels.decode import decode_frame
from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from pacs.pixels.description import PixelDescription

_SIZES = {"CT 512 x 512": (512, 512), "DX 2500 x 3000": (2500, 3000)}
_CODECS: dict[str, tuple[str, Callable[..., Any], dict[str, Any]]] = {
    "JPEG lossless": (
        "1.2.840.10008.1.2.4.70",
        imagecodecs.jpeg8_encode,
        {"lossless": True, "bitspersample": 16},
    ),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode, {}),
    "JPEG 2000": (
        "1.2.840.10008.1.2.4.90",
        imagecodecs.jpeg2k_encode,
        {"codecformat": "j2k", "reversible": True},
    ),
    "HTJ2K": ("1.2.840.10008.1.2.4.201", imagecodecs.htj2k_encode, {}),
}


def main(repetitions: Annotated[int, typer.Option(min=1, help="Of each small frame.")] = 101) -> None:
    """Print the least of interleaved runs, and what a decoding process holds in memory."""
    before = _decoding_processes()
    processes = DecodingProcesses(1, DecodingLimits(timeout_s=60.0, memory_bytes=2 << 30))
    begin = time.perf_counter()
    for name, encoded, description in _frames():
        processes.decode(encoded, description)
        if begin:
            typer.echo(f"the first frame, with the start of the process: {_since_ms(begin):.0f} ms")
            begin = 0.0
        here, there = [], []
        for _ in range(repetitions if description.rows < 1000 else min(repetitions, 9)):
            here.append(_measure_ms(decode_frame, encoded, description))
            there.append(_measure_ms(processes.decode, encoded, description))
        # The least is what others on the machine disturb least.
        least, more = min(here), min(there) - min(here)
        typer.echo(f"{name}: here {least:.2f} ms (median {median(here):.2f}), there {more:+.2f} ms more")
    for process in _decoding_processes() - before:
        typer.echo(f"resident memory of the process: {_resident_bytes(process) / 1e6:.0f} MB")
    processes.close()


def _frames() -> Iterator[tuple[str, bytes, PixelDescription]]:
    noise = np.random.default_rng(0)
    for size, (rows, columns) in _SIZES.items():
        image = np.add.outer(np.arange(rows), np.arange(columns)) // 4 % 4000
        image = (image + noise.integers(0, 30, image.shape)).astype(np.uint16)
        for codec, (uid, encode, options) in _CODECS.items():
            pixels = (1, 16, 16, 15, 0, "MONOCHROME2", 0, 1, "PixelData")
            description = PixelDescription(rows, columns, *pixels, transfer_syntax_uid=uid)
            yield f"{size}, {codec}", bytes(encode(image, **options)), description


def _measure_ms(
    decode: Callable[[bytes, PixelDescription], Any], encoded: bytes, description: PixelDescription
) -> float:
    begin = time.perf_counter()
    decode(encoded, description)
    return _since_ms(begin)


def _since_ms(begin: float) -> float:
    return 1000 * (time.perf_counter() - begin)


def _decoding_processes() -> set[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(child) for child in children}


def _resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    typer.run(main)
