"""Tables of national procedure codes, and the coding scheme that they have in DICOM.

Vietnam's equivalent codes have the form ``CC.KKKK.GGGG``: chapter (18 is radiology), technique, price row;
some carry a suffix. We know of no coding scheme that is registered for them. They therefore travel under the
private designator ``99BYT`` (BYT: Bộ Y tế, the Ministry of Health), as designators that begin with ``99`` are
private or local.

The table shipped is a start of 90 codes, each row with the public source that it was read from. The sources
themselves are weighed in ``data/vn/SOURCES.csv``.

References
----------
PS3.3 8.2 and PS3.16 8 (coding scheme designators); PS3.3 8.8 (code sequence macro).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

from pacs.errors import SettingsError

CODING_SCHEME_DESIGNATOR = "99BYT"

# ASCII digits only: \d would also take those of other scripts.
CODE_PATTERN = r"^[0-9]{2}\.[0-9]{4}\.[0-9]{4}(_GT|_TB|\.K\.[0-9]{5})?$"

_COLUMNS = ["code", "name_vi", "source"]


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One row of a table: a code, its name in Vietnamese, and where the row was read."""

    value: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class CodeTable:
    """The codes of one coding scheme, by value."""

    scheme: str
    entries: Mapping[str, CodeEntry]

    def lookup(self, value: str) -> CodeEntry | None:
        """Find a code. Space around it does not count: SH is padded with it (PS3.5 6.2)."""
        return self.entries.get(value.strip())


def load_table() -> CodeTable:
    """Load the table that is shipped with this version."""
    starter = files("pacs.codes").joinpath("data", "vn", "starter.csv")
    return read_table(io.StringIO(starter.read_text("utf-8"), newline=""), "vn/starter.csv")


def read_table(lines: Iterable[str], name: str) -> CodeTable:
    """Read a table from the lines of a CSV file with the columns code, name_vi and source.

    Parameters
    ----------
    lines : iterable of str
        The file, opened with ``newline=""``.
    name : str
        What messages call the table.

    Raises
    ------
    pacs.errors.SettingsError
        Other columns, a malformed or repeated code, an empty name or source.
    """
    rows = csv.DictReader(lines)
    if rows.fieldnames != _COLUMNS:
        raise SettingsError(f"{name}: the columns must be {','.join(_COLUMNS)}, not {rows.fieldnames}")
    entries: dict[str, CodeEntry] = {}
    for row in rows:
        entry = _read_entry(row, f"{name}, line {rows.line_num}")
        if entry.value in entries:
            raise SettingsError(f"{name}, line {rows.line_num}: {entry.value} is there twice")
        entries[entry.value] = entry
    return CodeTable(scheme=CODING_SCHEME_DESIGNATOR, entries=MappingProxyType(entries))


def _read_entry(row: Mapping[str | None, str | list[str] | None], place: str) -> CodeEntry:
    # A row that is too short gives None for a column; one that is too long gives a list under the key None.
    if len(row) != len(_COLUMNS) or not all(
        isinstance(row[column], str) and row[column] for column in _COLUMNS
    ):
        raise SettingsError(f"{place}: a row has a code, a name and a source")
    code, name, source = (str(row[column]) for column in _COLUMNS)
    if not re.fullmatch(CODE_PATTERN, code):
        raise SettingsError(f"{place}: {code!r} is not a code of the form CC.KKKK.GGGG")
    return CodeEntry(value=code, name=name, source=source)
