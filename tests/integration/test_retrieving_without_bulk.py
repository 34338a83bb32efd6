"""Composite Instance Retrieve Without Bulk Data (PS3.4 Annex Z), to a requestor made of pynetdicom."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import CompositeInstanceRetrieveWithoutBulkDataGet as WithoutBulk
from pynetdicom.sop_class import CTImageStorage

from pacs.archive import Archive
from pacs.ingest import Origin, open_part10, store_instance
from tests.data import shared_data
from tests.datasets import make_dataset
from tests.integration.retrieval_peers import (
    STUDY_UID,
    Getter,
    failed_uids,
    filled_archive,
    keys,
    numbers,
    store,
)
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
Filled = tuple[Archive, int, list[str]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """An archive with three instances."""
    with filled_archive(tmp_path_factory.mktemp("archive"), 3) as found:
        yield found


def asked_for(*uids: str) -> Dataset:
    return keys("IMAGE", StudyInstanceUID=None, SOPInstanceUID=list(uids))


def read(data: bytes, *, implicit: bool = False) -> Dataset:
    return pydicom.dcmread(io.BytesIO(_file_meta(IMPLICIT if implicit else EXPLICIT) + data), force=True)


def _file_meta(syntax: str) -> bytes:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(written, meta, enforce_standard=False)
    return bytes(128) + b"DICM" + written.getvalue()


def store_file(archive: Archive, path: Path) -> Dataset:
    with path.open("rb") as stream:
        store_instance(archive, open_part10(iter(lambda: stream.read(65536), b"")), Origin("stow"))
    return pydicom.dcmread(path)


def test_instances_come_with_all_but_their_bulk(filled: Filled) -> None:
    archive, port, _ = filled
    icon = make_dataset(Rows=2, Columns=2, PixelData=bytes(8))
    uid = store(
        archive,
        9,
        IconImageSequence=[icon],
        PatientName="NGUYỄN^VĂN AN",
        SpecificCharacterSet="ISO_IR 192",
        DataSetTrailingPadding=bytes(6),  # behind the pixel data
    )
    getter = Getter()
    last, identifier = getter.get(port, asked_for(uid), WithoutBulk)[-1]
    assert (last.Status, numbers(last)) == (0x0000, (None, 1, 0, 0))
    assert not identifier
    found = read(getter.files[uid])
    assert "PixelData" not in found
    assert found.IconImageSequence[0].PixelData == bytes(8)
    assert found.DataSetTrailingPadding == bytes(6)
    assert (found.PatientName, found.StudyInstanceUID, found.SOPInstanceUID) == (
        "NGUYỄN^VĂN AN",
        STUDY_UID,
        uid,
    )
    assert found.Rows > 0


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("taken", [EXPLICIT, IMPLICIT])
def test_they_come_in_what_the_requestor_takes(filled: Filled, syntax: str, taken: str) -> None:
    archive, port, _ = filled
    uid = store(archive, 5, syntax, WindowCenter="40")
    getter = Getter([(CTImageStorage, (taken,))])
    assert getter.get(port, asked_for(uid), WithoutBulk)[-1][0].Status == 0x0000
    found = read(getter.files[uid], implicit=taken == IMPLICIT)
    assert (found.WindowCenter, "PixelData" in found) == (40, False)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("ecg/anonymous_ecg.dcm", lambda found: found.WaveformSequence[0].get("WaveformData")),
        ("encapsulated_pdf/pdf.dcm", lambda found: found.get("EncapsulatedDocument")),
    ],
)
def test_waveforms_and_documents_come_without_theirs(
    filled: Filled, name: str, missing: Callable[[Dataset], object]
) -> None:
    archive, port, _ = filled
    stored = store_file(archive, shared_data(*name.split("/")))
    getter = Getter([(stored.SOPClassUID, (EXPLICIT,))])
    answers = getter.get(port, asked_for(stored.SOPInstanceUID), WithoutBulk)
    assert answers[-1][0].Status == 0x0000
    found = read(getter.files[stored.SOPInstanceUID])
    assert missing(stored)
    assert missing(found) is None
    assert found.StudyInstanceUID == stored.StudyInstanceUID


def test_compressed_ones_come_to_who_takes_no_other_syntax_than_theirs(filled: Filled) -> None:
    archive, port, _ = filled
    stored = store_file(archive, shared_data("nist_cr_4_syntaxes", "CR_2_4_70.dcm"))
    getter = Getter([(stored.SOPClassUID, (JPEG_LOSSLESS_SV1,))])
    assert getter.get(port, asked_for(stored.SOPInstanceUID), WithoutBulk)[-1][0].Status == 0x0000
    found = read(getter.files[stored.SOPInstanceUID])
    assert getter.written_in == {stored.SOPInstanceUID: JPEG_LOSSLESS_SV1}
    assert {e.tag for e in stored} - {e.tag for e in found} == {0x7FE00010}


def test_there_is_one_level_and_what_cannot_be_sent_is_told(filled: Filled) -> None:
    _, port, uids = filled
    assert Getter().get(port, keys("STUDY"), WithoutBulk)[-1][0].Status == 0xA900
    getter = Getter([(CTImageStorage, (BIG_ENDIAN,))])
    last, identifier = getter.get(port, asked_for(*uids), WithoutBulk)[-1]
    assert (last.Status, numbers(last)) == (0xA702, (None, 0, 3, 0))
    assert failed_uids(identifier) == uids
    assert Getter().get(port, asked_for("1.2.3"), WithoutBulk)[-1][0].Status == 0x0000
