"""Instance metadata: the data set without its bulk (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.dataset_json import dataset_to_json
from pacs.dicom.json_model import JsonDataset, element, encode_dataset
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicomweb_urls import DicomWebUrls
from pacs.errors import PixelsUnavailable, UnreadableInstance
from pacs.index.records import StoredInstance
from pacs.pixels.description import describe_pixels
from pacs.retrieve import read_attributes

AVAILABLE_TRANSFER_SYNTAX_UID = "00083002"
PIXEL_DATA_TAGS = {
    "PixelData": "7FE00010",
    "FloatPixelData": "7FE00008",
    "DoubleFloatPixelData": "7FE00009",
}
_PIXEL_DATA_VRS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


def metadata_array(datasets: Iterable[JsonDataset]) -> Iterator[bytes]:
    """Write a JSON array of data sets, piece by piece."""
    separator = b"["
    for dataset in datasets:
        yield separator + encode_dataset(dataset)
        separator = b","
    yield b"]"


def instance_metadata(archive: Archive, instance: StoredInstance, urls: DicomWebUrls) -> JsonDataset:
    """Write the metadata of one instance.

    A data set that cannot be read as a whole is written with nothing but what the index knows.

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
    written[AVAILABLE_TRANSFER_SYNTAX_UID] = element("UI", instance.transfer_syntax_uid)
    # The UIDs as the archive knows them: without the padding that devices write, and present in any case.
    written["00080016"] = element("UI", instance.sop_class_uid)
    written["00080018"] = element("UI", instance.sop_instance_uid)
    written["0020000D"] = element("UI", instance.study_instance_uid)
    written["0020000E"] = element("UI", instance.series_instance_uid)
    written |= _pixel_data(dataset, instance, url)
    return dict(sorted(written.items()))


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
