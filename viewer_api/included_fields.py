"""Fields of a search's answers that the index does not keep: read from the objects themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.attributes import Level
from pacs.dicom.dataset_json import dataset_to_json
from pacs.dicom.json_model import Element, JsonDataset, element
from pacs.dicomweb_urls import DicomWebUrls
from pacs.errors import UnreadableInstance
from pacs.index.records import Match, StoredInstance
from pacs.index.selection import Selection
from pacs.retrieve import read_frame_attributes
from storage.errors import ObjectNotFound

MAX_READ: Final = 200  # answers for which objects are read; a client asks for the next page
_CHARACTER_SET_TAG: Final = 0x00080005
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def read_fields(
    archive: Archive, match: Match, level: Level, tags: Iterable[int], urls: DicomWebUrls
) -> JsonDataset:
    """Read fields of one answer, empty ones included.

    Those of a study or a series are what its first instance says. An object that is not there, or cannot be
    read, costs its answer these fields and nothing else.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable

    References
    ----------
    PS3.18 8.3.4.3
    """
    written = _read(archive, match, level, frozenset(tags), urls)
    return {f"{tag:08X}": written.get(f"{tag:08X}") or _empty(tag) for tag in tags}


def _read(
    archive: Archive, match: Match, level: Level, tags: frozenset[int], urls: DicomWebUrls
) -> Mapping[str, Element]:
    uids = [(str(match.values[keyword]),) for keyword in _UIDS[:level]]
    found = archive.index.select_instances(Selection(None, *uids), 1)
    if not found:  # deleted since
        return {}
    try:
        dataset = read_frame_attributes(archive, found[0], 1)
    except (UnreadableInstance, ObjectNotFound):
        return {}
    wanted = Dataset()
    for tag in tags | {_CHARACTER_SET_TAG}:
        if tag in dataset:
            wanted[tag] = dataset.get_item(tag)
    url = _url(urls, found[0])
    return dataset_to_json(wanted, archive.settings.undeclared_character_set, f"{url}/bulkdata")


def _url(urls: DicomWebUrls, instance: StoredInstance) -> str:
    return urls.instance(instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)


def _empty(tag: int) -> Element:
    """Write an element without a value, of the VR of the Standard's dictionary or its first alternative."""
    try:
        return element(dictionary_VR(tag).partition(" ")[0])
    except KeyError:
        return element("UN")
