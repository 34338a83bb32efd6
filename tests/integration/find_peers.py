"""An archive behind a listener, and pynetdicom as who searches it by C-FIND."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from pacs.archive import Archive
from pacs.dimse.information_models import STUDY_ROOT, InformationModel
from pacs.dimse.listener import open_listener
from tests.integration.dimse_peers import HOST
from tests.unit.pacs.dimse import wire

EVERYTHING_NEGOTIATED = bytes((1, 1, 1, 1, 1, 1, 1))
RELATIONAL = bytes((1,))


@contextlib.contextmanager
def listening(archive: Archive) -> Iterator[int]:
    """Open the DICOM door of an archive; the port that it has."""
    settings = archive.settings.model_copy(update={"dicom_host": HOST, "dicom_port": 0})
    listener = open_listener(replace(archive, settings=settings))
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield listener.port
    finally:
        listener.stop()
        thread.join(20)


@dataclass
class Answers:
    """The statuses of all responses, the identifiers of the pending ones, and the comment of the last."""

    statuses: list[int] = field(default_factory=list)
    datasets: list[Dataset] = field(default_factory=list)
    comment: str = ""

    @property
    def final(self) -> int:
        return self.statuses[-1]

    def values(self, keyword: str) -> list[str]:
        return [str(dataset.get(keyword)) for dataset in self.datasets]


class Searcher:
    """An association on which is searched."""

    def __init__(
        self,
        port: int,
        model: InformationModel = STUDY_ROOT,
        negotiate: bytes = b"",
        transfer_syntaxes: Sequence[str] = (wire.IMPLICIT,),
    ) -> None:
        ae = AE("WS01")
        ae.add_requested_context(model.find_sop_class, list(transfer_syntaxes))
        items = []
        if negotiate:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = model.find_sop_class
            item.service_class_application_information = negotiate
            items.append(item)
        self._model = model
        self.association: Association = ae.associate(HOST, port, ae_title="FILMLESS", ext_neg=items)
        assert self.association.is_established

    def find(self, level: str | None, **keys: object) -> Answers:
        return self.find_by(identifier(level, **keys))

    def find_by(self, dataset: Dataset) -> Answers:
        answers = Answers()
        for status, found in self.association.send_c_find(dataset, self._model.find_sop_class):
            answers.statuses.append(status.Status)
            answers.comment = status.get("ErrorComment", "")
            if status.Status in (0xFF00, 0xFF01):
                answers.datasets.append(found)
        return answers

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.association.release()


def identifier(level: str | None, **keys: object) -> Dataset:
    """Write an identifier in UTF-8; the value of a sequence is the keys of its item."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    if level is not None:
        dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        if isinstance(value, dict):
            item = Dataset()
            for inner, text in value.items():
                setattr(item, inner, text)
            setattr(dataset, keyword, [item])
        else:
            setattr(dataset, keyword, value)
    return dataset
