"""An array of data sets of which each line holds one, so that it can be taken apart without parsing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

_LEVEL: Final = 6
_GZIP_WINDOW_BITS: Final = 31
_PIECE_SIZE_BYTES: Final = 1 << 18


def write_array(datasets: Iterable[bytes]) -> Iterator[bytes]:
    """Write encoded data sets as an array, piece by piece."""
    yield b"[\n"
    separator = b""
    for dataset in datasets:
        yield separator + dataset + b"\n"
        separator = b","
    yield b"]\n"


def read_array(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the encoded data sets of such an array, one by one."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line not in (b"[", b"]"):
                yield line.removeprefix(b",")


def compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress to a single member of gzip, of which there are browsers that read no more; always the same."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW_BITS)
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()


def decompress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip, a bounded piece at a time, however well it was compressed.

    Raises
    ------
    ValueError
        The data is damaged or cut short.
    """
    decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
    for piece in pieces:
        waiting = piece
        while waiting:
            try:
                yield decompressor.decompress(waiting, _PIECE_SIZE_BYTES)
            except zlib.error as error:
                raise ValueError("the compressed data is damaged") from error
            waiting = decompressor.unconsumed_tail
    if not decompressor.eof:
        raise ValueError("the compressed data is cut short")
