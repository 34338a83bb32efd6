"""The way out: whole instances, their attributes, and single frames as they are stored."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar

from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.deflated import inflate
from pacs.dicom.frame_groups import FrameGroups, find_frame_groups, keep_one_group, place_group
from pacs.dicom.header import scan_header
from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.text import defined_terms
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.errors import NotFound, PixelsUnavailable, UnreadableInstance
from pacs.index.records import StoredInstance
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.fragments import Extent
from pacs.pixels.frames import locate_native_frame, read_encoded_frame
from storage.stored_file import StoredFile

_CHUNK_SIZE_BYTES = 1 << 20
_CACHED_DATASETS_BYTES = 2 * 1024**2  # as they are stored; parsed they take ten to thirty times as much
_LEAST_DATASET_BYTES = 4096  # for which each of them counts
_CACHED_HEADS_BYTES = 8 * 1024**2
_LARGE_HEAD_BYTES = 32 * 1024
_CACHED_DESCRIPTIONS = 4096
_MAX_ELEMENTS = 300_000
_MAX_ITEMS = 300_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as stored: native bytes, or one compressed codestream."""

    data: bytes
    transfer_syntax_uid: str
    frame_number: int  # 1-based


def find_instances(
    archive: Archive,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> list[StoredInstance]:
    """List the instances of a study, a series or a single one, in series and instance number order.

    Raises
    ------
    pacs.errors.NotFound
        There is none.
    """
    found = archive.index.find_instances(study_instance_uid, series_instance_uid, sop_instance_uid)
    if not found:
        raise NotFound("there is no such study, series or instance")
    return found


def open_instance(archive: Archive, instance: StoredInstance) -> BinaryIO:
    """Open the Part 10 object for reading, byte for byte as kept.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    return archive.store.open(instance.location.key)


def open_file(archive: Archive, instance: StoredInstance) -> StoredFile | None:
    """Open the file in which the Part 10 object lies as it is kept; None where it lies in none of ours.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    return archive.store.open_file(instance.location.key)


def read_chunks(
    archive: Archive, instance: StoredInstance, offset: int = 0, size_bytes: int | None = None
) -> Iterator[bytes]:
    """Read the Part 10 object, or a part of it, piece by piece."""
    with open_instance(archive, instance) as stream:
        whole = instance.location.size_bytes
        yield from copy_range(stream, offset, whole if size_bytes is None else size_bytes)


def copy_range(stream: BinaryIO, offset: int, size_bytes: int) -> Iterator[bytes]:
    """Read ``size_bytes`` bytes from ``offset`` piece by piece; fewer where the stream ends before."""
    stream.seek(offset)
    while size_bytes > 0 and (chunk := stream.read(min(size_bytes, _CHUNK_SIZE_BYTES))):
        size_bytes -= len(chunk)
        yield chunk


def split_by_presence(
    archive: Archive, instances: Sequence[StoredInstance]
) -> tuple[list[StoredInstance], list[StoredInstance]]:
    """Tell those whose object the store has from those whose object is missing, each in its order.

    Raises
    ------
    storage.errors.StoreUnavailable
    """
    missing = archive.store.find_missing([instance.location.key for instance in instances])
    present = [one for one in instances if one.location.key not in missing]
    return present, [one for one in instances if one.location.key in missing]


def read_attributes(archive: Archive, instance: StoredInstance) -> Dataset:
    """Read the data set up to, and without, the pixel data; cached, so do not change what you get.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The data set passed the scan at ingest and still cannot be read as a whole, or has more elements or
        items than a reader can be asked to hold.
    """
    cached = _datasets.get(instance.location.sha256)
    if cached is not None:
        return cached
    head = _read_head(archive, instance)
    dataset = _parse_head(head, instance)
    _mend_character_set(dataset)
    _keep_dataset(instance.location.sha256, dataset, len(head))
    return dataset


def _keep_dataset(name: str, dataset: Dataset, size_bytes: int) -> None:
    _datasets.put(name, dataset, max(size_bytes, _LEAST_DATASET_BYTES))


def known_attributes(instance: StoredInstance) -> Dataset | None:
    """Return what :func:`read_attributes` does, where nothing has to be read for it; None elsewhere."""
    return _datasets.get(instance.location.sha256)


def read_own_attributes(archive: Archive, instance: StoredInstance) -> Dataset:
    """Read the data set up to the pixel data, for the caller alone, who may change it; as it is stored.

    Raises what :func:`read_attributes` raises.
    """
    return _parse_head(_read_head(archive, instance), instance)


def read_frame_attributes(archive: Archive, instance: StoredInstance, frame_number: int) -> Dataset:
    """Read the data set as far as it concerns a frame (1-based); cached, so do not change what you get.

    Of a large Per-Frame Functional Groups Sequence it has the items up to that of the frame, those before it
    empty. Raises what :func:`read_attributes` raises.
    """
    location = instance.location
    if instance.number_of_frames == 1 or location.header_size_bytes < _LARGE_HEAD_BYTES:
        return read_attributes(archive, instance)
    name = f"{location.sha256}.{frame_number}"
    cached = _datasets.get(name)
    if cached is not None:
        return cached
    head, groups = _read_frame_groups(archive, instance)
    if groups is None:
        return read_attributes(archive, instance)
    head = keep_one_group(head, groups, frame_number - 1)
    dataset = _parse_head(head, instance)
    place_group(dataset, frame_number - 1)
    _mend_character_set(dataset)
    _keep_dataset(name, dataset, len(head))
    return dataset


def _read_frame_groups(archive: Archive, instance: StoredInstance) -> tuple[bytes, FrameGroups | None]:
    sha256, syntax = instance.location.sha256, TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    known = _heads.get(sha256)
    if known is None:
        head = _read_head(archive, instance)
        known = head, find_frame_groups(head, _dataset_offset(instance), syntax)
        _heads.put(sha256, known, len(head))
    return known


def read_pixel_description(archive: Archive, instance: StoredInstance) -> PixelDescription:
    """Describe the pixels by the data set; cached.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels, pacs.errors.UnreadableInstance
    """
    sha256 = instance.location.sha256
    description = _descriptions.get(sha256)
    if description is None:
        attributes = read_frame_attributes(archive, instance, 1)
        description = describe_pixels(attributes, instance.transfer_syntax_uid)
        _descriptions.put(sha256, description)
    return description


def knows_pixels(instance: StoredInstance) -> bool:
    """Tell whether :func:`read_pixel_description` answers without reading anything."""
    return _descriptions.get(instance.location.sha256) is not None


def locate_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> Extent | None:
    """Tell where in the object a frame (1-based) lies that is stored just as :func:`read_frame` reads it.

    None where it has to be read, also to say what is wrong with it.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels, pacs.errors.UnreadableInstance
    """
    location = instance.location
    if location.pixel_data_offset is None or TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated:
        return None
    description = read_pixel_description(archive, instance)
    value_size_bytes = location.pixel_data_size_bytes
    if value_size_bytes is not None:
        value_size_bytes = min(value_size_bytes, location.size_bytes - location.pixel_data_offset)
    return locate_native_frame(location.pixel_data_offset, value_size_bytes, description, frame_number - 1)


def read_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> EncodedFrame:
    """Read one frame (1-based) by range, without reading the rest of the object.

    Raises
    ------
    pacs.errors.NotFound
        There is no such frame.
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        The instance has no pixel data, or it is damaged.
    """
    description = read_pixel_description(archive, instance)
    require_frame(frame_number, description.number_of_frames)
    attributes = read_frame_attributes(archive, instance, frame_number)
    stream, offset, size_bytes = open_pixel_data(archive, instance)
    with stream:
        data = read_encoded_frame(stream, offset, size_bytes, description, frame_number - 1, attributes)
    return EncodedFrame(data, instance.transfer_syntax_uid, frame_number)


def require_frame(frame_number: int, number_of_frames: int) -> None:
    """Refuse a frame (1-based) that is not there. Raises NotFound."""
    if not 1 <= frame_number <= number_of_frames:
        raise NotFound(f"there is no frame {frame_number}, only 1 to {number_of_frames}")


def _parse_head(head: bytes, instance: StoredInstance) -> Dataset:
    _require_modest(head, instance)
    try:
        return dcmread(io.BytesIO(head), stop_before_pixels=True, force=True)
    except (Exception, RecursionError) as error:  # what pydicom raises on damage is not one tree
        raise UnreadableInstance(f"the data set cannot be read: {type(error).__name__}") from error


def _require_modest(head: bytes, instance: StoredInstance) -> None:
    """Refuse what takes pydicom minutes and gigabytes; the object itself can still be retrieved."""
    if max(head.count(b"\xfe\xff\x00\xe0"), head.count(b"\xff\xfe\xe0\x00")) > _MAX_ITEMS:
        raise UnreadableInstance(f"the data set has more than {_MAX_ITEMS} sequence items")
    dataset = memoryview(head)[_dataset_offset(instance) :]
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    scan_header(dataset, syntax, whole=False, max_elements=_MAX_ELEMENTS)


def _dataset_offset(instance: StoredInstance) -> int:
    """Tell where the data set begins in what :func:`_read_head` gives."""
    if TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated:
        return len(_inflated_file_meta(instance))
    return instance.location.dataset_offset


def _mend_character_set(dataset: Dataset) -> None:
    """Keep pydicom from the codecs that it would take by name where a term is not one of the Standard's."""
    declared = dataset.get("SpecificCharacterSet") or ""
    terms = [declared] if isinstance(declared, str) else [str(term) for term in declared]
    defined = defined_terms("\\".join(terms).encode("ascii", "replace"))
    if defined != terms:
        mended = defined if any(defined) else ["ISO_IR 192"]
        dataset.SpecificCharacterSet = mended
        implicit_vr, little_endian = dataset.original_encoding
        dataset.set_original_encoding(implicit_vr, little_endian, convert_encodings(mended))


def _read_head(archive: Archive, instance: StoredInstance) -> bytes:
    """Read a Part 10 stream that ends where the value of the pixel data begins; inflated if need be."""
    location = instance.location
    if TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated:
        return _inflated_file_meta(instance) + _inflated_dataset(archive, instance)
    size_bytes = location.size_bytes if location.pixel_data_offset is None else location.pixel_data_offset
    return archive.store.read_range(location.key, 0, size_bytes)


def _inflated_file_meta(instance: StoredInstance) -> bytes:
    return encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)


def _inflated_dataset(archive: Archive, instance: StoredInstance) -> bytes:
    location = instance.location
    return inflate(archive.store.read_range(location.key, location.dataset_offset, location.size_bytes))


def open_pixel_data(archive: Archive, instance: StoredInstance) -> tuple[BinaryIO, int, int | None]:
    """Open a stream in which the pixel data lies; return it with offset and size of the value.

    The stream is the object, or its inflated data set. The size of encapsulated pixel data is None.

    Raises
    ------
    pacs.errors.PixelsUnavailable
        There is no pixel data.
    """
    location = instance.location
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    if syntax.deflated:
        dataset = _inflated_dataset(archive, instance)
        pixel_data = scan_header(dataset, syntax).pixel_data
        if pixel_data is not None:
            return io.BytesIO(dataset), pixel_data.offset, pixel_data.size_bytes
    elif location.pixel_data_offset is not None:
        return open_instance(archive, instance), location.pixel_data_offset, location.pixel_data_size_bytes
    raise PixelsUnavailable("the instance has no pixel data")


class _RecentlyUsed(Generic[_T]):
    """What was read last, by the digest of its object: what has this digest never changes.

    The sizes of all entries together are bounded; one that takes more than half of the bound is not kept.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._size = 0
        self._entries: OrderedDict[str, tuple[_T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> _T | None:
        with self._lock:
            if name not in self._entries:
                return None
            self._entries.move_to_end(name)
            return self._entries[name][0]

    def put(self, name: str, entry: _T, size: int = 1) -> None:
        if size > self._max_size // 2:
            return
        with self._lock:
            before = self._entries.pop(name, None)
            self._entries[name] = entry, size
            self._size += size - (before[1] if before else 0)
            while self._size > self._max_size:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._size -= dropped


_datasets = _RecentlyUsed[Dataset](_CACHED_DATASETS_BYTES)
_heads = _RecentlyUsed[tuple[bytes, FrameGroups | None]](_CACHED_HEADS_BYTES)
_descriptions = _RecentlyUsed[PixelDescription](_CACHED_DESCRIPTIONS)
