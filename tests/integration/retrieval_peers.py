"""Peers of an archive that instances are retrieved from: requestors and destinations, made of pynetdicom."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as StudyRootMove

from pacs.archive import Archive
from pacs.index.known_peers import KnownPeer
from pacs.ingest import Origin, open_part10, store_instance
from tests.backends import fresh_archive
from tests.datasets import encode_file, make_dataset
from tests.integration.dimse_peers import listening
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

HOST = "127.0.0.1"
STUDY_UID = generate_uid()
SERIES_UID = generate_uid()


@contextlib.contextmanager
def filled_archive(
    folder: Path, count: int = 6, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[Archive, int, list[str]]]:
    """An archive with a study of ``count`` instances behind its door: archive, port, SOP Instance UIDs."""
    settings = {"FILMLESS_DICOM_PORT": "0", **settings}
    with fresh_archive("sqlite-folder", folder, settings) as archive:
        uids = [store(archive, number) for number in range(1, count + 1)]
        with listening(archive) as port:
            yield archive, port, uids


def store(archive: Archive, number: int, syntax: str = EXPLICIT, **attributes: Any) -> str:
    """Store one instance of the study; its pixels are noise enough to take a moment."""
    dataset = make_dataset(
        **{
            "StudyInstanceUID": STUDY_UID,
            "SeriesInstanceUID": SERIES_UID,
            "SOPClassUID": CTImageStorage,
            "InstanceNumber": number,
            "PatientID": "BN0001",
            **attributes,
        }
    )
    chunks = [encode_file(dataset, syntax)]
    return store_instance(archive, open_part10(chunks), Origin("stow")).sop_instance_uid


@dataclass
class Destination:
    """A storage SCP. ``receive`` is asked for the status of each instance, and may do what it likes.

    ``requested`` hears of each association before it is accepted.
    """

    receive: Callable[[evt.Event], int] = lambda _: 0x0000
    requested: Callable[[evt.Event], None] = lambda _: None
    syntaxes: Sequence[str] = (EXPLICIT, IMPLICIT)
    got: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    written_in: dict[str, str] = field(default_factory=dict)
    associations: int = 0
    released: int = 0
    commands: list[Any] = field(default_factory=list)

    def _store(self, event: evt.Event) -> int:
        status = self.receive(event)
        uid = str(event.request.AffectedSOPInstanceUID)
        self.got.append(uid)
        self.files[uid] = event.request.DataSet.getvalue()
        self.written_in[uid] = str(event.context.transfer_syntax)
        self.commands.append(event.request)
        return status

    def _accepted(self, _: evt.Event) -> None:
        self.associations += 1

    def _released(self, _: evt.Event) -> None:
        self.released += 1

    @contextlib.contextmanager
    def running(
        self,
        archive: Archive,
        ae_title: str = "DEST",
        tls: ssl.SSLContext | None = None,
        use_tls: bool = False,
        **more: Any,
    ) -> Iterator[Destination]:
        """Listen, with ``tls`` over TLS, as a peer of the archive's table, which says ``use_tls``."""
        entity = AE(ae_title)
        entity.add_supported_context(CTImageStorage, list(self.syntaxes))
        entity.maximum_pdu_size = 16382
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        handlers += [(evt.EVT_RELEASED, self._released), (evt.EVT_REQUESTED, self.requested)]
        server = entity.start_server((HOST, 0), block=False, evt_handlers=handlers, ssl_context=tls)
        port = server.socket.getsockname()[1]
        archive.index.peers.put(KnownPeer(ae_title, HOST, port, tls=use_tls, **more))
        try:
            yield self
        finally:
            server.shutdown()


def keys(level: str = "STUDY", **attributes: Any) -> Dataset:
    """The identifier of a retrieval."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in ({"StudyInstanceUID": STUDY_UID} | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


Answers = list[tuple[Dataset, Dataset | None]]


@contextlib.contextmanager
def requestor(port: int, ae_title: str = "WS1", model: str = StudyRootMove) -> Iterator[Any]:
    """An association that may ask for C-MOVE."""
    entity = AE(ae_title)
    entity.add_requested_context(model)
    association = entity.associate(HOST, port, ae_title="FILMLESS")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def move(port: int, identifier: Dataset, destination: str = "DEST", model: str = StudyRootMove) -> Answers:
    """Ask for a C-MOVE, and give all answers."""
    with requestor(port, model=model) as association:
        return list(association.send_c_move(identifier, destination, model))


@dataclass
class Getter:
    """A requestor of C-GET, with the contexts in which it takes instances."""

    contexts: Sequence[tuple[str, Sequence[str]]] = ((CTImageStorage, (EXPLICIT,)),)
    roles: bool = True
    status: int = 0x0000
    on_store: Callable[[evt.Event], None] = lambda _: None
    files: dict[str, bytes] = field(default_factory=dict)
    written_in: dict[str, str] = field(default_factory=dict)

    def _store(self, event: evt.Event) -> int:
        self.on_store(event)
        uid = str(event.request.AffectedSOPInstanceUID)
        self.files[uid] = event.request.DataSet.getvalue()
        self.written_in[uid] = str(event.context.transfer_syntax)
        return self.status

    @contextlib.contextmanager
    def associated(self, port: int, model: str, ae_title: str = "WS1") -> Iterator[Any]:
        """Its association."""
        entity = AE(ae_title)
        entity.add_requested_context(model)
        roles = []
        for uid, syntaxes in self.contexts:
            entity.add_requested_context(uid, list(syntaxes))
            roles += [build_role(uid, scp_role=True)] if self.roles else []
        handlers = [(evt.EVT_C_STORE, self._store)]
        association = entity.associate(HOST, port, ae_title="FILMLESS", ext_neg=roles, evt_handlers=handlers)
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def get(
        self, port: int, identifier: Dataset, model: str = StudyRootQueryRetrieveInformationModelGet
    ) -> Answers:
        """Ask for a C-GET, and give all answers."""
        with self.associated(port, model) as association:
            return list(association.send_c_get(identifier, model))


def numbers(status: Dataset) -> tuple[int | None, ...]:
    """Remaining, completed, failed and warning sub-operations of an answer; None: it does not tell."""
    return tuple(
        status.get(f"NumberOf{name}Suboperations") for name in ("Remaining", "Completed", "Failed", "Warning")
    )


def failed_uids(identifier: Dataset | None) -> list[str]:
    """The Failed SOP Instance UID List of an answer."""
    found = identifier.FailedSOPInstanceUIDList if identifier else []
    return [str(found)] if isinstance(found, str) else [str(uid) for uid in found]
