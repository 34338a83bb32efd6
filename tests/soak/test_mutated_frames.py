"""Frames of real devices, damaged in every way: each is decoded or refused, and no server process is lost."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import imagecodecs
import numpy as np
import pytest

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.decode import needs_codec
from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from pacs.pixels.description import PixelDescription
from tests.data import read_manifest, shared_data
from tests.fidelity.image_files import open_image
from tests.soak.recording import Mutator
from tests.soak.watched import Watched
from tests.unit.pacs.pixels.images import JPEG_XL, describe, gradient

Count = Callable[[str, object], None]

_MAX_FRAME_SIZE_BYTES = 600_000
_BATCH = 100
_MAX_GROWTH_BYTES = 64_000_000
_LIMITS = DecodingLimits(timeout_s=10.0, memory_bytes=1 << 30)


@dataclass(frozen=True, slots=True)
class SoundFrame:
    """A frame as a device sent it, and what it decodes to."""

    data: bytes
    description: PixelDescription
    values: np.ndarray


@pytest.fixture(scope="module")
def decoding() -> Iterator[DecodingProcesses]:
    pool = DecodingProcesses(os.cpu_count() or 1, _LIMITS)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def frames(decoding: DecodingProcesses) -> list[SoundFrame]:
    """One frame of each kind of compressed image in the shared data, and of JPEG XL, which it lacks."""
    shared_data()
    found = list(_frames_of_files(decoding))
    for bits in (8, 16):
        image = gradient(highest=(1 << bits) - 1).astype(f"u{bits // 8}")
        data = bytes(imagecodecs.jpegxl_encode(image, lossless=True))
        description = describe(JPEG_XL, Rows=32, Columns=40, BitsAllocated=bits, BitsStored=bits)
        found.append(SoundFrame(data, description, decoding.decode(data, description)))
    assert len({frame.description.transfer_syntax_uid for frame in found}) >= 13
    return found


def _frames_of_files(decoding: DecodingProcesses) -> Iterator[SoundFrame]:
    seen = set()
    for row in sorted(read_manifest(), key=lambda row: int(row["bytes"])):
        kind = tuple(row[name] for name in ("ts", "photometric", "ba", "bs", "pr"))
        if row["file"].startswith("malformed") or not row["rows"] or kind in seen:
            continue
        image = open_image(shared_data(row["file"]))
        description = image and image.describe()
        if image is None or description is None or not needs_codec(description):
            continue
        if description.frame_size_bytes <= _MAX_FRAME_SIZE_BYTES:
            data = next(image.read_frames(description, [0]))
            yield SoundFrame(data, description, decoding.decode(data, description))
            seen.add(kind)


def _decode(decoding: DecodingProcesses, frame: SoundFrame, data: bytes) -> str:
    """Decode a damaged frame; return what became of it."""
    try:
        values = decoding.decode(data, frame.description)
    except UndecodablePixels as error:
        text = str(error)
        return next((end for end in ("died", "longer", "memory") if end in text), "refused")
    except PixelsUnavailable:
        return "refused"
    assert values.shape == frame.values.shape and values.dtype == frame.values.dtype
    return "decoded"


@pytest.mark.parametrize(
    "number", [pytest.param(600, id="short"), pytest.param(200_000, id="long", marks=pytest.mark.soak)]
)
def test_b6_mutated_frames_are_decoded_or_refused_and_nothing_is_lost(
    decoding: DecodingProcesses, frames: list[SoundFrame], number: int, record_property: Count
) -> None:
    mutators = [Mutator([frame.data], seed=number + place) for place, frame in enumerate(frames)]
    outcomes: Counter[str] = Counter()
    own = Watched(os.getpid())
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch in range(number // _BATCH):
            if batch == 1:  # now it is warm
                base, before_bytes = own.held, own.resident_bytes
            chosen = [(batch * _BATCH + place) % len(frames) for place in range(_BATCH)]
            damaged = [(frames[which], mutators[which].mutated()) for which in chosen]
            outcomes.update(threads.map(lambda one: _decode(decoding, *one), damaged))
            frame = frames[batch % len(frames)]
            assert np.array_equal(decoding.decode(frame.data, frame.description), frame.values)
    gc.collect()
    growth_bytes = own.resident_bytes - before_bytes
    for outcome, times in sorted(outcomes.items()):
        record_property(outcome, times)
    record_property("growth", f"{growth_bytes / 1e6:.1f} MB")
    assert outcomes.total() == number // _BATCH * _BATCH
    assert min(outcomes["decoded"], outcomes["refused"]) > number // 20, outcomes
    assert own.held.descriptors <= base.descriptors + 2 * (os.cpu_count() or 1)
    assert growth_bytes < _MAX_GROWTH_BYTES
