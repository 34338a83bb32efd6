"""Metadata of an instance: the data set without its bulk."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.attributes import ATTRIBUTES, BY_KEYWORD, Level
from pacs.dicom.dataset_json import dataset_to_json
from pacs.dicom.json_model import SPECIFIC_CHARACTER_SET, JsonDataset, element
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicomweb_urls import DicomWebUrls
from pacs.errors import PixelsUnavailable, UnreadableInstance
from pacs.index.records import Query, StoredInstance
from pacs.pixels.description import describe_pixels
from pacs.retrieve import read_attributes

PIXEL_DATA_TAGS: Final = {
    "PixelData": "7FE00010",
    "FloatPixelData": "7FE00008",
    "DoubleFloatPixelData": "7FE00009",
}
_AVAILABLE_TRANSFER_SYNTAX_UID: Final = "00083002"
_PIXEL_DATA_VRS: Final = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


def instance_metadata(archive: Archive, instance: StoredInstance, urls: DicomWebUrls) -> JsonDataset:
    """Write the metadata of one instance.

    A data set that cannot be read as a whole is written with nothing but the names that the index has.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable

    References
    ----------
    PS3.18 10.4.1.1.2, Annex F
    """
    url = urls.instance(instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    try:
        dataset = read_attributes(archive, instance)
    except UnreadableInstance:
        dataset = Dataset()
    written = dataset_to_json(dataset, archive.settings.undeclared_character_set, f"{url}/bulkdata")
    written |= _names(instance) | _pixel_data(dataset, instance, url)
    return dict(sorted(written.items()))


def known_metadata(archive: Archive, instance: StoredInstance) -> JsonDataset:
    """Write what the index knows of an instance, whose object the store does not have.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    query = Query(
        Level.INSTANCE,
        [(BY_KEYWORD["SOPInstanceUID"], instance.sop_instance_uid)],
        instance.study_instance_uid,
        instance.series_instance_uid,
    )
    written = {SPECIFIC_CHARACTER_SET: element("CS", "ISO_IR 192")}
    for match in archive.index.search(query).matches:
        for attribute in ATTRIBUTES:
            value = match.values.get(attribute.keyword)
            if not attribute.derived and value is not None:
                values = value if isinstance(value, list) else [value]
                written[attribute.tag_hex] = element(attribute.vr, *values)
    return dict(sorted((written | _names(instance)).items()))


def _names(instance: StoredInstance) -> JsonDataset:
    """Write the UIDs as the archive knows them: without padding, and present in any case."""
    return {
        "00080016": element("UI", instance.sop_class_uid),
        "00080018": element("UI", instance.sop_instance_uid),
        "0020000D": element("UI", instance.study_instance_uid),
        "0020000E": element("UI", instance.series_instance_uid),
        _AVAILABLE_TRANSFER_SYNTAX_UID: element("UI", instance.transfer_syntax_uid),
    }


def _pixel_data(dataset: Dataset, instance: StoredInstance, url: str) -> JsonDataset:
    """Name the pixel data by its URI; nothing where there is none."""
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    try:
        description = describe_pixels(dataset, instance.transfer_syntax_uid)
    except PixelsUnavailable:
        description = None
    if instance.location.pixel_data_offset is None and not (syntax.deflated and description):
        return {}
    keyword = description.keyword if description else "PixelData"
    is_words = description is not None and description.bits_allocated > 8 and not syntax.encapsulated
    tag = PIXEL_DATA_TAGS[keyword]
    return {
        tag: {
            "vr": _PIXEL_DATA_VRS.get(keyword, "OW" if is_words else "OB"),
            "BulkDataURI": f"{url}/bulkdata/{tag}",
        }
    }
