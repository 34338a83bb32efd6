"""Decoders that others wrote, asked for the stored values of one frame of a file.

They run in a process of their own: some die on what is damaged.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import config, dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.rle import _rle_decode_segment
from pydicom.uid import UID

from tests.data import find_program

Samples: TypeAlias = npt.NDArray[Any]
Reference: TypeAlias = Callable[[Path, int], Samples]

_DCMTK = {
    "1.2.840.10008.1.2.5": ("dcmdrle",),
    **{f"1.2.840.10008.1.2.4.{number}": ("dcmdjpeg", "+cn") for number in (50, 51, 53, 55, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{number}": ("dcmdjpls",) for number in (80, 81)},
}
_HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
_PROGRESSIVE = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (53, 55))
_RLE, _DEFLATED_FRAME, _BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.4.50"


def list_references(transfer_syntax_uid: str, *, is_packed: bool) -> list[str]:
    """Name the decoders of a transfer syntax, the quickest first; ``is_packed`` tells of single bits."""
    return list(_references(transfer_syntax_uid, is_packed))


def silence() -> None:
    """Drop what this process writes for people: codecs comment on each oddity."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def ask_reference(name: str, path: Path, transfer_syntax_uid: str, is_packed: bool, frame_index: int) -> Any:
    """Return the stored values that a decoder reads, or its refusal, a text."""
    config.settings.reading_validation_mode = config.IGNORE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _references(transfer_syntax_uid, is_packed)[name](path, frame_index)
        except Exception as error:  # each has its own kinds
            return f"{type(error).__name__}: {error}"


def _references(uid: str, is_packed: bool) -> dict[str, Reference]:
    if uid == _DEFLATED_FRAME:
        return {"zlib": _inflate}
    if uid == _RLE and is_packed:
        return {"pydicom's segments": _unpack_rle}
    found: dict[str, Reference] = {}
    try:
        decoder = get_decoder(UID(uid))
    except NotImplementedError:
        decoder = None
    if decoder is not None and not UID(uid).is_encapsulated:
        found["pydicom"] = partial(_read_with_pydicom, uid=uid)
    for plugin in decoder.available_plugins if decoder is not None else ():
        found[f"pydicom/{plugin}"] = partial(_read_with_pydicom, uid=uid, plugin=plugin)
    if uid == _BASELINE:  # what says RGB and is coded as YCbCr is corrected in the processed values only
        found["pydicom/pillow as RGB"] = partial(_read_with_pydicom, uid=uid, plugin="pillow", raw=False)
    if uid in _PROGRESSIVE:
        found["libjpeg"] = _read_with_libjpeg
    if uid in _HTJ2K:
        found["OpenJPH"] = _read_with_openjph
    command = _DCMTK.get(uid)
    if command is not None and find_program(command[0]):
        found[command[0]] = partial(_read_with_dcmtk, command=command)
    return found


@lru_cache(maxsize=2)
def _open(path: Path) -> FileDataset:
    return dcmread(path, force=True)


def _read_with_pydicom(
    path: Path, frame_index: int, *, uid: str, plugin: str = "", raw: bool = True
) -> Samples:
    dataset = _open(path)
    dataset.file_meta.TransferSyntaxUID = UID(uid)  # which a bare data set does not say
    decoder = get_decoder(UID(uid))
    array, _ = decoder.as_array(dataset, index=frame_index, raw=raw, decoding_plugin=plugin)
    return array


def _read_with_dcmtk(path: Path, frame_index: int, *, command: tuple[str, ...]) -> Samples:
    return _read_with_pydicom_native(_decompress(path, command), frame_index)


@lru_cache(maxsize=2)
def _decompress(path: Path, command: tuple[str, ...]) -> FileDataset:
    name, *options = command
    program = find_program(name)
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "native.dcm"
        subprocess.run(
            [program, "-q", *options, str(path), str(target)], check=True, capture_output=True, timeout=120
        )
        dataset = dcmread(target)
        dataset.PixelData  # noqa: B018 - read before the file goes
    return dataset


def _read_with_pydicom_native(dataset: FileDataset, frame_index: int) -> Samples:
    decoder = get_decoder(UID(dataset.file_meta.TransferSyntaxUID))
    array, _ = decoder.as_array(dataset, index=frame_index, raw=True)
    return array


def _frame_of(path: Path, frame_index: int) -> bytes:
    dataset = _open(path)
    number_of_frames = int(dataset.get("NumberOfFrames") or 1)
    table = None
    if "ExtendedOffsetTable" in dataset:
        table = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    return get_frame(
        dataset.PixelData, frame_index, number_of_frames=number_of_frames, extended_offsets=table
    )


def _read_with_libjpeg(path: Path, frame_index: int) -> Samples:
    import libjpeg

    return libjpeg.decode(_frame_of(path, frame_index))


def _read_with_openjph(path: Path, frame_index: int) -> Samples:
    """Read with OpenJPH; the archive uses OpenJPEG."""
    return imagecodecs.htj2k_decode(_frame_of(path, frame_index))


def _inflate(path: Path, frame_index: int) -> Samples:
    dataset = _open(path)
    native = zlib.decompress(_frame_of(path, frame_index).rstrip(b"\0") + b"\0", -zlib.MAX_WBITS)
    return _as_image(dataset, native)


def _unpack_rle(path: Path, frame_index: int) -> Samples:
    data = _frame_of(path, frame_index)
    return _as_image(_open(path), bytes(_rle_decode_segment(data[64:])))


def _as_image(dataset: FileDataset, native: bytes) -> Samples:
    shape = (int(dataset.Rows), int(dataset.Columns))
    if dataset.BitsAllocated == 1:
        bits = np.unpackbits(np.frombuffer(native, "u1"), bitorder="little")
        return bits[: shape[0] * shape[1]].reshape(shape)
    samples = int(dataset.SamplesPerPixel)
    values = np.frombuffer(native, f"<{'ui'[dataset.PixelRepresentation]}{dataset.BitsAllocated // 8}")
    shape = shape if samples == 1 else (*shape, samples)
    return values[: int(np.prod(shape))].reshape(shape)
