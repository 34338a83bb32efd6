"""One file after the other: what the archive decodes, and whether another decoder reads the same."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import ArchiveError, UnreadableInstance
from pacs.pixels.codestreams import jpeg_segments
from pacs.pixels.decoding_processes import DecodingProcesses
from pacs.pixels.description import PixelDescription
from tests.fidelity.image_files import ImageFile, open_image
from tests.fidelity.references import ask_reference, list_references, silence

Samples: TypeAlias = npt.NDArray[Any]

_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 57, 70))
_LOSSLESS_SOF = 0xC3
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Result(StrEnum):
    """What came out for a file."""

    EQUAL = "equal"
    CLOSE = "within 1 level"  # of a lossy JPEG
    DIFFERENT = "DIFFERENT"
    ONLY_OTHERS = "ONLY OTHERS READ IT"
    ONLY_HERE = "no other decoder reads it"
    UNDECODABLE = "not decodable"
    NO_IMAGE = "no image"
    UNREADABLE = "not taken in"  # not DICOM, or so damaged that the archive refuses it


AGREEMENT = frozenset({Result.EQUAL, Result.CLOSE})
FAILURES = frozenset({Result.DIFFERENT, Result.ONLY_OTHERS})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for a file; ``reason`` says by which decoder, or why not."""

    file: str
    transfer_syntax: str
    result: Result
    reason: str
    frames: int = 0


class Comparison:
    """Compares files, with other decoders in a process that may die.

    Parameters
    ----------
    decoding
        What decodes for the archive.
    is_short
        Whether the first and the last frame of each file are enough, and one decoder that agrees.
    """

    def __init__(self, decoding: DecodingProcesses, *, is_short: bool = False) -> None:
        self._decoding = decoding
        self._is_short = is_short
        self._others: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the process of the other decoders."""
        if self._others is not None:
            self._others.shutdown()

    def compare(self, paths: Iterable[Path], root: Path) -> Iterator[Verdict]:
        """Compare files; ``root`` is left out of their names."""
        for path in paths:
            name = str(path.relative_to(root))
            try:
                image = open_image(path)
            except UnreadableInstance as error:
                yield Verdict(name, "", Result.UNREADABLE, str(error))
                continue
            if image is None:
                yield Verdict(name, "", Result.NO_IMAGE, "")
                continue
            result, reason, frames = self.compare_image(path, image)
            yield Verdict(name, TRANSFER_SYNTAXES[image.transfer_syntax_uid].name, result, reason, frames)

    def compare_image(self, path: Path, image: ImageFile) -> tuple[Result, str, int]:
        """Compare an opened file with what others read from ``path``; return result, reason and frames."""
        try:
            description = image.describe()
            indices = range(description.number_of_frames)
            chosen = sorted({indices[0], indices[-1]}) if self._is_short else indices
            is_close, reasons, compared = False, set(), 0
            for index, data in zip(chosen, image.read_frames(description, chosen), strict=True):
                values = self._decoding.decode(data, description)
                result, reason = self._judge(path, description, index, values, _tolerance(data, description))
                if result not in AGREEMENT:
                    return result, f"frame {index + 1}: {'; '.join(reason)}", compared
                is_close |= result is Result.CLOSE
                reasons.update(reason)
                compared += 1
        except ArchiveError as error:
            return self._explain_refusal(path, image, error)
        return Result.CLOSE if is_close else Result.EQUAL, ", ".join(sorted(reasons)), compared

    def _judge(
        self, path: Path, description: PixelDescription, index: int, values: Samples, tolerance: int
    ) -> tuple[Result, list[str]]:
        """Return what came out, and the decoders that agree, or those that do not."""
        differences: list[str] = []
        agreeing: dict[str, float] = {}
        for name, expected in self._ask(path, description.transfer_syntax_uid, index, description):
            if isinstance(expected, str):
                continue
            difference = _difference(values, expected)
            if difference <= tolerance:
                agreeing[name] = difference
            else:
                differences.append(f"{name} by {difference:g}")
            if agreeing and self._is_short:
                break
        if agreeing:
            return Result.EQUAL if min(agreeing.values()) == 0 else Result.CLOSE, list(agreeing)
        if differences:
            return Result.DIFFERENT, differences
        return Result.ONLY_HERE, ["all others refuse it"]

    def _explain_refusal(self, path: Path, image: ImageFile, error: ArchiveError) -> tuple[Result, str, int]:
        for name, values in self._ask(path, image.transfer_syntax_uid, 0, None):
            if not isinstance(values, str):
                return Result.ONLY_OTHERS, f"{error}; {name} reads it", 0
        return Result.UNDECODABLE, str(error), 0

    def _ask(
        self, path: Path, uid: str, index: int, description: PixelDescription | None
    ) -> Iterator[tuple[str, Samples | str]]:
        is_packed = description is not None and description.bits_allocated == 1
        for name in list_references(uid, is_packed=is_packed):
            if self._others is None:
                context = multiprocessing.get_context("spawn")
                self._others = ProcessPoolExecutor(1, context, initializer=silence)
            try:
                asked = self._others.submit(ask_reference, name, path, uid, is_packed, index)
                yield name, asked.result(timeout=300)
            except BrokenProcessPool:
                self._others = None
                yield name, "it died"


def _tolerance(data: bytes, description: PixelDescription) -> int:
    """Two decoders of lossy JPEG may round differently, whatever the transfer syntax says it is."""
    if description.transfer_syntax_uid not in _JPEG:
        return 0
    sof = next((marker for marker, _, _ in jpeg_segments(data) if marker in _SOF), _LOSSLESS_SOF)
    return 0 if sof == _LOSSLESS_SOF else 1


def _difference(values: Samples, expected: Samples) -> float:
    if values.shape != expected.shape:
        return float("inf")
    if values.dtype.kind == "f":
        return 0.0 if np.array_equal(values, expected, equal_nan=True) else float("inf")
    return float(np.abs(values.astype(np.int64) - expected.astype(np.int64)).max(initial=0))
