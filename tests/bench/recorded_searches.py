"""How fast servers answer the searches that OHIF sends, as they were recorded, at 10,000 studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Thread
from urllib.parse import urlencode

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from pacs.index.names import fold_name
from tests.bench.corpus import Instance, Kind
from tests.bench.http_client import Request, get
from tests.bench.many_studies import DESCRIPTIONS, FIRST_YEAR, YEARS
from tests.bench.senders import OpenSender
from tests.bench.servers import Contender, RunningServer
from tests.bench.web import CONNECTIONS, WebResults, measure_load
from tests.datasets import encode, make_dataset
from tests.vietnamese_names import vietnamese_names

STUDIES = 10_000
_KINDS = (Kind("CT", "CT", CTImageStorage, 16, 16), Kind("MR", "MR", MRImageStorage, 16, 16))
_SENDERS = 4
_DIFFERENT = 40  # requests of a kind, asked for in turn
_WARM_UP_S = 0.5
_PAGE = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
_OF_SERIES = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
# Without diacritics: Orthanc's index drops other letters than ASCII, and would find nothing, quickly.
_NAMES = [fold_name(name).upper().replace(" ", "^", 1) for name in vietnamese_names(STUDIES)]


def measure_recorded_searches(
    contenders: Sequence[Contender],
    studies: int,
    repetitions: int,
    seconds: float,
    tell: Callable[[str], None],
) -> WebResults:
    """Ask every server every search again and again, several times in turn; all have the same studies."""
    results: WebResults = {}
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        for server in servers:
            tell(f"filling {server.name} with {studies:,} studies")
            fill_by_c_store(server, studies)
        for repetition in range(repetitions):
            tell(f"searches, repetition {repetition + 1} of {repetitions}")
            for number, (name, path) in enumerate(_SEARCHES.items()):
                paths = [path(n * 211 % studies) for n in range(1, _DIFFERENT + 1)]
                for server in servers if (number + repetition) % 2 else reversed(servers):
                    requests = _requests(server, paths)
                    measure_load(server, requests, CONNECTIONS, _WARM_UP_S)
                    measured = measure_load(server, requests, CONNECTIONS, seconds)
                    results.setdefault((name, server.name), []).append(measured)
    return results


def _requests(server: RunningServer, paths: Sequence[str]) -> list[Request]:
    host = f"127.0.0.1:{server.http_port}"
    return [get(path, host, "application/dicom+json", "gzip") for path in paths]


def fill_by_c_store(server: RunningServer, studies: int) -> None:
    """Send studies of one image each, over several associations."""
    failures: list[Exception] = []

    def send(sender: int) -> None:
        try:
            for number, kind in enumerate(_KINDS):
                with OpenSender(server.peer, kind) as association:
                    for n in range(number + 2 * sender, studies, 2 * _SENDERS):
                        association.send(_instance(n, kind))
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=send, args=(sender,)) for sender in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _instance(number: int, kind: Kind) -> Instance:
    dataset = _dataset(number, kind)
    encoded = encode(dataset)
    return Instance(str(dataset.SOPInstanceUID), (encoded[:-512], memoryview(encoded)[-512:]))


def _dataset(number: int, kind: Kind) -> Dataset:
    return make_dataset(
        SOPClassUID=kind.sop_class_uid,
        Modality=kind.modality,
        StudyInstanceUID=_uid(number),
        SeriesInstanceUID=f"{_uid(number)}.1",
        SOPInstanceUID=f"{_uid(number)}.1.1",
        PatientName=_NAMES[number],
        PatientID=patient_id_of(number),
        AccessionNumber=f"A{number:06}",
        StudyDescription=DESCRIPTIONS[number % len(DESCRIPTIONS)],
        StudyDate=f"{FIRST_YEAR + number % YEARS}{1 + number % 12:02}{1 + number % 28:02}",
    )


def _uid(number: int) -> str:
    return f"2.25.{7_000_000_000 + number}"


def patient_id_of(number: int) -> str:
    """Return the ID of the patient of a study; each has two."""
    return f"BN{number // 2 + 100_000}"


def _studies(**keys: str) -> str:
    return f"/dicom-web/studies?{_PAGE}&{urlencode(keys, safe='*')}".rstrip("&")


def month_of(number: int) -> str:
    """Return the range of dates of the month of a study."""
    month = f"{FIRST_YEAR + number % YEARS}{1 + number % 12:02}"
    return f"{month}01-{month}31"


def _given(number: int) -> str:
    return _NAMES[number].split()[-1].rpartition("^")[2]


_SEARCHES: dict[str, Callable[[int], str]] = {
    "newest first": lambda _: _studies(),
    "PatientName=*word*": lambda n: _studies(PatientName=f"*{_given(n)}*"),
    "PatientName=FAMILY*": lambda n: _studies(PatientName=_NAMES[n].partition("^")[0] + "*"),
    "00100020=*part*": lambda n: f"{_studies()}&00100020=*{patient_id_of(n)[2:]}*",
    "00100020, whole": lambda n: f"{_studies()}&00100020={patient_id_of(n)}",
    "AccessionNumber=*part*": lambda n: _studies(AccessionNumber=f"*{n:06}*"),
    "StudyDescription=*word*": lambda n: _studies(StudyDescription="*CT*"),
    "ModalitiesInStudy=MR,CT": lambda n: _studies(ModalitiesInStudy="MR,CT"),
    "ModalitiesInStudy=CT": lambda n: _studies(ModalitiesInStudy="CT"),
    "StudyDate, a month": lambda n: _studies(StudyDate=month_of(n)),
    "StudyDate and modality": lambda n: _studies(StudyDate=month_of(n), ModalitiesInStudy="MR"),
    "StudyInstanceUID": lambda n: _studies(StudyInstanceUID=_uid(n)),
    "series of a study": lambda n: f"/dicom-web/studies/{_uid(n)}/series?{_OF_SERIES}",
}
