"""How long servers take for a query of their worklist, over one association, while they have many orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from pacs.dicom.character_sets import AnswerCharacterSet
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.identifier import Identifier
from pacs.dicom.orders import Order, completed
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.worklist_attributes import BY_TAG, SCHEDULED_PROCEDURE_STEP_SEQUENCE, Part
from pacs.dimse.endings import AssociationEnded
from pacs.dimse.requestor import Peer
from pacs.dimse.worklist.answers import worklist_writer
from pacs.dimse.worklist.operation import MODALITY_WORKLIST
from pacs.dimse.worklist.request import parse_worklist_request
from pacs.index.engine import create_index_engine, writing
from pacs.index.order_writes import insert_order
from pacs.index.records import WorklistItem
from tests.bench.find import Searcher
from tests.bench.servers import NO_POSTGRESQL, ORTHANC_WORKLISTS, listener, orthanc_worklist, wlmscpfs
from tests.data import find_program
from tests.made_orders import random_orders

ORDERS: Final = 20_000
_DIFFERENT: Final = 40  # keys of a kind, asked for in turn
_DAYS: Final = 30
_UTF_8: Final = b"ISO_IR 192"


@dataclass(slots=True)
class QueryTimes:
    """How long each query took, in ms, and how many answers all had together."""

    taken_ms: list[float] = field(default_factory=list)
    answers: int = 0


WorklistTimes = Mapping[tuple[str, str], QueryTimes]


def measure_worklists(orders: int, seconds: float, tell: Callable[[str], None]) -> WorklistTimes:
    """Ask every server that is installed for the same, one after the other; all have the same orders."""
    made = _orders(orders)
    results: dict[tuple[str, str], QueryTimes] = {}
    with ExitStack() as running:
        tell(f"making {orders:,} orders")
        servers = dict(_servers(running, made))
        for name, keys in _QUERIES.items():
            wanted = [_identifier(keys(made[number * 211 % orders])) for number in range(_DIFFERENT)]
            for server, peer in servers.items():
                tell(f"{name}: {server}")
                results[name, server] = _measure(peer, wanted, seconds)
    return results


def _orders(number: int) -> list[Order]:
    """Make orders of one step, each for one station, as the other servers know of no other ones."""
    made = []
    for one in random_orders(number, days=_DAYS):
        step = one.steps[0]
        station = (step.station_ae_titles or (f"{step.modality}1",))[:1]
        order = replace(one, description="Chụp", steps=(replace(step, station_ae_titles=station),))
        made.append(replace(completed(order), version=1))
    return made


def _servers(running: ExitStack, orders: Sequence[Order]) -> Iterator[tuple[str, Peer]]:
    for database in ("SQLite",) if NO_POSTGRESQL else ("SQLite", "PostgreSQL"):
        ours = running.enter_context(listener(database))
        _fill(ours.database_url, orders)
        yield f"Filmless, {database}", ours.peer
    files = Path(running.enter_context(TemporaryDirectory(prefix="filmless-bench-"))) / "WORKLIST"
    _write_files(files, orders)
    if find_program("wlmscpfs"):
        yield "dcmtk wlmscpfs", running.enter_context(wlmscpfs(files))
    if find_program("Orthanc") and ORTHANC_WORKLISTS.exists():
        yield "Orthanc, sample plugin", running.enter_context(orthanc_worklist(files))


def _fill(database_url: str, orders: Sequence[Order]) -> None:
    """Insert orders in few transactions: that each is durable by itself is measured elsewhere."""
    engine = create_index_engine(database_url)
    for begin in range(0, len(orders), 500):
        with writing(engine) as connection:
            for order in orders[begin : begin + 500]:
                insert_order(connection, order, datetime.now(UTC))
    engine.dispose()


def _write_files(folder: Path, orders: Sequence[Order]) -> None:
    """Write orders as the files that the other servers read: data sets such as our answers are."""
    folder.mkdir()
    (folder / "lockfile").touch()  # wlmscpfs wants it
    keys = dict.fromkeys([*BY_TAG[Part.ORDER], SCHEDULED_PROCEDURE_STEP_SEQUENCE], "")
    elements = ElementEncoder(TRANSFER_SYNTAXES[ImplicitVRLittleEndian])
    encoders = AnswerCharacterSet("ISO_IR 192").encoders(_UTF_8)
    writer = worklist_writer(parse_worklist_request(Identifier(keys, {})), elements, encoders, "")
    head = _file_head()
    for number, order in enumerate(orders):
        item = WorklistItem(order, order.steps[0])
        (folder / f"{number:06}.wl").write_bytes(head + writer.write(item))


def _file_head() -> bytes:
    """Write what stands before the data set of a file (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MODALITY_WORKLIST, "1.2.3"
    whole = Dataset()
    whole.file_meta = meta
    stream = BytesIO()
    dcmwrite(stream, whole, enforce_file_format=True)
    return stream.getvalue()


def _measure(peer: Peer, identifiers: Sequence[bytes], seconds: float) -> QueryTimes:
    """Ask for a while; a server that breaks off, as one does that takes too long, is not asked again."""
    searcher, times = Searcher(peer, MODALITY_WORKLIST), QueryTimes()
    with suppress(AssociationEnded):
        searcher.find(identifiers[-1])
        first_s = perf_counter()
        for number in count():
            begin_s = perf_counter()
            times.answers += searcher.find(identifiers[number % len(identifiers)])
            times.taken_ms.append(1000 * (perf_counter() - begin_s))
            if perf_counter() - first_s > seconds:
                break
        searcher.end()
    return times


def _identifier(keys: Mapping[str, str]) -> bytes:
    """Ask as a modality does: a dozen keys to be returned, some of them matched."""
    dataset, step = Dataset(), Dataset()
    dataset.SpecificCharacterSet = _UTF_8.decode()
    for keyword in _RETURNED:
        setattr(dataset, keyword, keys.get(keyword, ""))
    for keyword in _RETURNED_OF_STEP:
        setattr(step, keyword, keys.get(keyword, ""))
    dataset.ScheduledProcedureStepSequence = [step]
    encoded = encode(dataset, is_implicit_vr=True, is_little_endian=True)
    if encoded is None:
        raise RuntimeError("pydicom cannot encode an identifier")
    return encoded


_RETURNED: Final = (
    "AccessionNumber", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
    "RequestedProcedureID", "RequestedProcedureDescription",
)  # fmt: skip
_RETURNED_OF_STEP: Final = (
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime", "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
)  # fmt: skip
_QUERIES: Final[Mapping[str, Callable[[Order], Mapping[str, str]]]] = {
    "a station's work of a day": lambda order: {
        "ScheduledStationAETitle": order.steps[0].station_ae_titles[0],
        "ScheduledProcedureStepStartDate": order.steps[0].start_date,
    },
    "one accession number": lambda order: {"AccessionNumber": order.accession_number},
    "a patient's name": lambda order: {"PatientName": order.patient_name},
}
