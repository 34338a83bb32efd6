"""The pictures of an archive: taken from where they were kept, or made."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pacs import __version__
from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.documents.encapsulated import ENCAPSULATED_PDF, read_pdf
from pacs.errors import PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pictures.annotations import annotate
from pacs.pictures.byte_cache import ByteCache
from pacs.pictures.cine import make_cine, read_frame_time_ms
from pacs.pictures.disk_cache import DiskCache
from pacs.pictures.exact_frames import FORMAT as EXACT_FORMAT
from pacs.pictures.exact_frames import ExactEncoding, write_exact_frame, write_presentation
from pacs.pictures.media_types import JPEG, PNG_16
from pacs.pictures.rendering import (
    DecodedFrame,
    Rendering,
    ShownFrame,
    draw,
    encode_picture,
    has_pixels,
    make_picture,
)
from pacs.pictures.subtraction import as_viewed
from pacs.pictures.thumbnails import find_thumbnail, thumbnail_key
from pacs.pixels.appearance import Appearance
from pacs.pixels.decode import needs_codec
from pacs.pixels.frames import read_video
from pacs.pixels.geometry import read_pixel_aspect_ratio
from pacs.pixels.mask_subtraction import read_mask_operation
from pacs.pixels.pdf_page import page_description
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.shrunk import ShrunkFrame, find_shrunk_size, read_shrunk_frame, render_shrunk_frame, shrink
from pacs.pixels.video import BEGINNING_SIZE_BYTES, poster_description
from pacs.retrieve import (
    known_attributes,
    knows_pixels,
    locate_frame,
    open_file,
    open_pixel_data,
    read_attributes,
    read_frame,
    read_frame_attributes,
    read_pixel_description,
    require_frame,
)

_FOLDER: Final = "pictures"  # below DATA_DIR
# What is made faster than this is not worth a file; it is kept in memory only.
_WORTH_A_FILE_S: Final = 0.005
_LARGE_BYTES: Final = 2 << 20  # of a frame: to average a smaller one takes no time
_SMALL_BYTES: Final = 1 << 20  # of an object: to hand it to another thread takes about as long as to draw it
_SMALL_PIXELS: Final = 1 << 20  # of a frame: one bit of each takes an object eight times as large as this
_GZIP_LEVEL: Final = 1  # planes are hardly smaller with more


class Pictures:
    """Makes pictures and exact pixels of one archive, and keeps what took time. Safe for several threads.

    A result is kept under all that it depends on: the content's digest, what is asked for, and the version of
    this software. So it never has to be made invalid. Who asks has looked into the index before: what is kept
    of a deleted instance is not found there.

    Parameters
    ----------
    memory_bytes
        How much is kept in memory too; what is not kept on disk either is made again.
    """

    def __init__(self, archive: Archive, memory_bytes: int = 0) -> None:
        settings = archive.settings
        self._archive = archive
        self._memory = ByteCache(memory_bytes)
        self._disk = DiskCache(picture_folder(settings.data_dir), settings.picture_cache_bytes)

    def find_in_memory(self, instance: StoredInstance, key: str) -> bytes | None:
        """Return what was kept under a key lately, in no time; None: nothing, or it is on the disk."""
        return self._memory.get(f"{instance.location.sha256}.{key}")

    def find(self, instance: StoredInstance, key: str) -> bytes | None:
        """Return what was kept under a key, from memory or from the disk of this machine; None: nothing."""
        subject = instance.location.sha256
        data = self._memory.get(f"{subject}.{key}")
        if data is None and (data := self._disk.get(subject, key)) is not None:
            self._memory.put(f"{subject}.{key}", data)
        return data

    def find_picture(self, shown: ShownFrame) -> bytes | None:
        """Return the picture of a frame that was kept, here or by a worker; None: it has to be made."""
        picture = self.find(shown.instance, shown.digest)
        if picture is None and (picture := find_thumbnail(self._archive, shown)) is not None:
            self._memory.put(f"{shown.instance.location.sha256}.{shown.digest}", picture)
        return picture

    def keep(self, instance: StoredInstance, key: str, data: bytes, took_s: float) -> None:
        """Keep what took so long to make."""
        subject = instance.location.sha256
        self._memory.put(f"{subject}.{key}", data)
        if took_s >= _WORTH_A_FILE_S:
            self._disk.put(subject, key, data)

    def draw(self, shown: ShownFrame) -> bytes:
        """Return the picture of a frame as a file, kept or made. Raises what `make` raises."""
        kept = self.find_picture(shown)
        return self.make(shown) if kept is None else kept

    def make(self, shown: ShownFrame) -> bytes:
        """Make the picture of a frame, and keep it.

        Raises
        ------
        pacs.errors.NotFound
            There is no such frame.
        pacs.errors.InvalidRequest, pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
            As ``make_picture``; or the instance is not an image, or damaged.
        storage.errors.StoreError
            The object cannot be read.
        """
        clock = _choose_clock(shown.instance)
        begin_s = clock()
        if shown.rendering.is_cine:
            picture = self._make_cine(shown)
        elif (found := self._make_of_averages(shown)) is not None:
            picture = found
        else:
            picture = make_picture(self._decode_shown(shown), shown.rendering)
        self.keep(shown.instance, shown.digest, picture, clock() - begin_s)
        return picture

    def make_at_once(self, shown: ShownFrame) -> bytes | None:
        """Make the picture of a small grayscale image of which all lies in memory, and keep it there.

        That takes a millisecond or two. None where something has to be read first, or there is more to do.
        Raises what `make` raises.
        """
        frame = self._decode_at_once(shown.instance) if _is_plain(shown) else None
        if frame is None:
            return None
        picture = make_picture(frame, shown.rendering)
        self._memory.put(f"{shown.instance.location.sha256}.{shown.digest}", picture)
        return picture

    def _decode_at_once(self, instance: StoredInstance) -> DecodedFrame | None:
        attributes = known_attributes(instance)
        if attributes is None or not knows_pixels(instance):
            return None
        description = read_pixel_description(self._archive, instance)
        is_large = description.rows * description.columns > _SMALL_PIXELS
        is_enlarged = read_pixel_aspect_ratio(attributes, 0) != 1.0
        if not description.is_monochrome or needs_codec(description) or is_large or is_enlarged:
            return None
        data = self._read_at_once(instance)
        if data is None:
            return None
        values = self._archive.decoding.decode(data, description)
        return DecodedFrame(values, attributes, description, 0, data)

    def _read_at_once(self, instance: StoredInstance) -> bytes | None:
        """Read the only frame of an instance from memory; None where it lies elsewhere, or not just so."""
        extent = locate_frame(self._archive, instance, 1)
        file = None if extent is None else open_file(self._archive, instance)
        return None if file is None or extent is None else file.read_at_once(extent.offset, extent.size_bytes)

    def keep_averages(self, instance: StoredInstance, size: tuple[int, int]) -> None:
        """Average the first frame for pictures of a size ahead of who asks, where that is worth it.

        Raises what `make` raises.
        """
        self._make_of_averages(ShownFrame(instance, 1, Rendering(Appearance(size=size))))

    def _make_of_averages(self, shown: ShownFrame) -> bytes | None:
        """Make the picture of a large frame that is shown small, of averages that are kept for other windows.

        None where it takes more than averages. The picture is the same either way.
        """
        instance, rendering = shown.instance, shown.rendering
        is_small = rendering.appearance.size is not None and rendering.media_type != PNG_16
        if not is_small or not has_pixels(instance):
            return None
        description = read_pixel_description(self._archive, instance)
        if description.transfer_syntax.video or description.frame_size_bytes < _LARGE_BYTES:
            return None
        require_frame(shown.frame_number, description.number_of_frames)
        attributes = read_frame_attributes(self._archive, instance, shown.frame_number)
        if read_mask_operation(attributes, shown.frame_number, description.number_of_frames) is not None:
            return None
        of_frame = (attributes, description, shown.frame_number - 1)
        size = find_shrunk_size(*of_frame, rendering.appearance)
        if size is None:
            return None
        frame = self._find_averages(shown, description, size)
        picture = render_shrunk_frame(frame, *of_frame, rendering.appearance)
        if picture is None:
            return None
        return encode_picture(annotate(picture, attributes, rendering.annotations), rendering)

    def _find_averages(
        self, shown: ShownFrame, description: PixelDescription, size: tuple[int, int]
    ) -> ShrunkFrame:
        """Return a frame averaged for a size of picture, kept or made."""
        key = f"averages-{__version__}-{shown.frame_number}-{size[0]}x{size[1]}"
        kept = self.find(shown.instance, key)
        frame = None if kept is None else read_shrunk_frame(kept, description.dtype)
        if frame is None:
            begin_s = time.monotonic()
            decoded = self.decode(shown.instance, shown.frame_number)
            frame = shrink(decoded.stored_values, decoded.attributes, description, decoded.frame_index, size)
            self.keep(shown.instance, key, frame.to_bytes(), time.monotonic() - begin_s)
        return frame

    def _make_cine(self, shown: ShownFrame) -> bytes:
        instance = shown.instance
        description = read_pixel_description(self._archive, instance)
        numbers = range(1, description.number_of_frames + 1)
        frames = (self._decode_shown(replace(shown, frame_number=number)) for number in numbers)
        pictures = (draw(frame, shown.rendering) for frame in frames)
        time_ms = read_frame_time_ms(read_frame_attributes(self._archive, instance, 1))
        return make_cine(pictures, description, time_ms, shown.rendering.media_type)

    def write_exact(self, instance: StoredInstance, frame_number: int, encoding: ExactEncoding) -> bytes:
        """Return a frame (1-based) as an exact file, kept or made; planes are compressed by gzip.

        Raises what `make` raises.
        """
        key = f"exact-{EXACT_FORMAT}-{__version__}-{encoding.value}-{frame_number}"
        file = self.find(instance, key)
        if file is None:
            begin_s = time.monotonic()
            file = write_exact_frame(self.decode(instance, frame_number), encoding)
            if encoding is ExactEncoding.PLANES:
                file = gzip.compress(file, _GZIP_LEVEL, mtime=0)
            self.keep(instance, key, file, time.monotonic() - begin_s)
        return file

    def write_presentation(self, instance: StoredInstance, frame_number: int) -> bytes:
        """Return how a grayscale frame (1-based) is shown, as JSON. Raises what `make` raises."""
        key = f"presentation-{__version__}-{frame_number}"
        file = self.find(instance, key)
        if file is None:
            begin_s = time.monotonic()
            file = write_presentation(self._decode_viewed(instance, frame_number))
            self.keep(instance, key, file, time.monotonic() - begin_s)
        return file

    def _decode_shown(self, shown: ShownFrame) -> DecodedFrame:
        """Return what is shown of a frame: its stored values, less its mask where it is to be viewed so.

        Of a video it is its first frame as RGB, of an encapsulated PDF its first page. A presentation state
        speaks of stored values.
        """
        instance, frame_number = shown.instance, shown.frame_number
        if instance.sop_class_uid == ENCAPSULATED_PDF:
            page = self._archive.decoding.draw_page(read_pdf(self._archive, instance))
            attributes = read_attributes(self._archive, instance)
            return DecodedFrame(page, attributes, page_description(), 0)
        description = read_pixel_description(self._archive, instance)
        if not description.transfer_syntax.video:
            is_presented = shown.rendering.appearance.presentation is not None
            return (self.decode if is_presented else self._decode_viewed)(instance, frame_number)
        if frame_number != 1:
            raise PixelsUnavailable("of a video only the first frame can be shown")
        poster = poster_description(description)
        stream, offset, size_bytes = open_pixel_data(self._archive, instance)
        with stream:
            data = read_video(stream, offset, size_bytes, BEGINNING_SIZE_BYTES)
        values = self._archive.decoding.decode_poster(data, description)
        return DecodedFrame(values, read_attributes(self._archive, instance), poster, 0)

    def _decode_viewed(self, instance: StoredInstance, frame_number: int) -> DecodedFrame:
        return as_viewed(self.decode(instance, frame_number), partial(self.decode, instance))

    def decode(self, instance: StoredInstance, frame_number: int) -> DecodedFrame:
        """Return the stored values of a frame (1-based); raises what `make` raises."""
        description = read_pixel_description(self._archive, instance)
        require_frame(frame_number, description.number_of_frames)
        attributes = read_frame_attributes(self._archive, instance, frame_number)
        if needs_codec(description):
            values = self._read_values(instance, frame_number, description)
            return DecodedFrame(values, attributes, description, frame_number - 1)
        data = read_frame(self._archive, instance, frame_number).data
        values = self._archive.decoding.decode(data, description)
        return DecodedFrame(values, attributes, description, frame_number - 1, data)

    def _read_values(
        self, instance: StoredInstance, frame_number: int, description: PixelDescription
    ) -> npt.NDArray[Any]:
        key = f"values-{__version__}-{frame_number}"
        kept = self.find(instance, key)
        if kept is not None and len(kept) == description.frame_size_bytes:
            return np.frombuffer(kept, description.dtype).reshape(description.frame_shape)
        begin_s = time.monotonic()
        data = read_frame(self._archive, instance, frame_number).data
        values = self._archive.decoding.decode(data, description)
        self.keep(instance, key, values.tobytes(), time.monotonic() - begin_s)
        return values


def _is_plain(shown: ShownFrame) -> bool:
    """Tell whether a picture is of a small image alone, as it is stored, in the common form."""
    instance, rendering = shown.instance, shown.rendering
    is_single = instance.number_of_frames == shown.frame_number == 1 and not rendering.annotations
    is_small = instance.location.size_bytes <= _SMALL_BYTES
    return is_single and is_small and rendering.media_type == JPEG and not rendering.appearance.presentation


def _choose_clock(instance: StoredInstance) -> Callable[[], float]:
    """Choose what tells how much making a picture took.

    That is the time for which the thread works, where all work is done here: a busy server would write all
    that it draws to its disk otherwise.
    """
    is_native = has_pixels(instance) and not TRANSFER_SYNTAXES[instance.transfer_syntax_uid].encapsulated
    return time.thread_time if is_native else time.monotonic


def drop_pictures(archive: Archive, name: ObjectName) -> None:
    """Remove what was made of a content that is gone, from this machine's disk and from the store.

    Raises
    ------
    storage.errors.StoreUnavailable
    """
    archive.store.delete(thumbnail_key(name))
    settings = archive.settings
    DiskCache(picture_folder(settings.data_dir), settings.picture_cache_bytes).drop(name.sha256)


def picture_folder(data_dir: Path) -> Path:
    """Return the folder of what is kept on this machine; it may be removed at any time."""
    return data_dir / _FOLDER
