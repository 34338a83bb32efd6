"""How long searches of a large index take: what people and OHIF ask for, a page of 101 studies each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from sqlalchemy import text

from pacs.dicom.attributes import Level, find_key
from pacs.index.index import Index, open_index
from pacs.index.names import fold_name
from pacs.index.records import Query
from tests.bench.many_studies import (
    FIRST_YEAR,
    INSTANCES_OF_A_STUDY,
    NAMES,
    YEARS,
    accession_number,
    fill_with_studies,
    patient_id,
)
from tests.servers import postgresql
from tests.vietnamese_names import vietnamese_names

PAGE = 101  # what OHIF asks for
_NAMES = list(vietnamese_names(NAMES))
_WARM_UP = 3

Keys = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """How long each search took, in ms, on an index of some studies; and how large that is."""

    database: str
    studies: int
    index_bytes: int
    taken_ms: Mapping[str, Sequence[float]]

    @property
    def bytes_of_an_instance(self) -> float:
        """Size of the database divided by its instances."""
        return self.index_bytes / (self.studies * INSTANCES_OF_A_STUDY)

    def p95_ms(self, name: str) -> float:
        """Return what 95 of 100 stay below."""
        return quantiles(self.taken_ms[name], n=20)[-1]

    def p50_ms(self, name: str) -> float:
        """Return the median."""
        return median(self.taken_ms[name])


def measure_searches(
    database: str, studies: int, repetitions: int, tell: Callable[[str], None]
) -> SearchTimes:
    """Fill an index, and search it again and again, each time for something else."""
    with _database(database) as url:
        index = open_index(url)
        try:
            index.migrate()
            fill_with_studies(url, studies, tell)
            taken = {
                name: [_search_ms(index, keys(n, studies)) for n in range(repetitions + _WARM_UP)][_WARM_UP:]
                for name, keys in _SEARCHES.items()
            }
            return SearchTimes(database, studies, _size_bytes(index), taken)
        finally:
            index.close()


def _search_ms(index: Index, keys: Keys) -> float:
    pairs = [(key, value) for name, value in keys.items() if (key := find_key(name)) is not None]
    begin_s = perf_counter()
    index.search(Query(Level.STUDY, pairs, text=keys.get("q"), limit=PAGE))
    return 1000 * (perf_counter() - begin_s)


@contextmanager
def _database(database: str) -> Iterator[str]:
    with ExitStack() as running:
        if database == "PostgreSQL":
            yield running.enter_context(postgresql())
        else:
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="filmless-bench-"))
            yield f"sqlite:///{Path(folder) / 'index.sqlite'}"


def _size_bytes(index: Index) -> int:
    engine = index._engine
    statement = "SELECT pg_database_size(current_database())"
    if engine.dialect.name == "sqlite":
        statement = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with engine.connect() as connection:
        return int(connection.scalar(text(statement)) or 0)


def _name(number: int) -> str:
    return _NAMES[number * 37 % NAMES]


def _given(number: int) -> str:
    return fold_name(_name(number)).split()[-1]


def _family(number: int) -> str:
    return fold_name(_name(number)).split()[0]


def _month(number: int) -> str:
    month = f"{FIRST_YEAR + number % YEARS}{1 + number % 12:02}"
    return f"{month}01-{month}31"


def _any(number: int, studies: int) -> int:
    return 1 + number * 104_729 % studies


_SEARCHES: Mapping[str, Callable[[int, int], Keys]] = {
    "newest first": lambda n, _: {},
    "name, with diacritics": lambda n, _: {"PatientName": _name(n)},
    "name, without": lambda n, _: {"PatientName": fold_name(_name(n))},
    "name, two words and a star": lambda n, _: {
        "PatientName": f"{_given(n)} {fold_name(_name(n)).split()[0]}*"
    },
    "name, as OHIF asks (*word*)": lambda n, _: {"PatientName": f"*{_given(n)}*"},
    "patient ID": lambda n, of: {"PatientID": patient_id(_any(n, of))},
    "accession number": lambda n, of: {"AccessionNumber": accession_number(_any(n, of))},
    "month": lambda n, _: {"StudyDate": _month(n)},
    "modality and month": lambda n, _: {"StudyDate": _month(n), "ModalitiesInStudy": "MR"},
    "search box, family and given name": lambda n, _: {"q": f"{_family(n)} {_given(n)}"},
}
