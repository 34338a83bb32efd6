"""``python -m tests.conformance``: does the conformance statement have the tables that the code makes?"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from tests.conformance_tables import TABLES
from tests.data import PROJECT

DOCUMENT: Final = PROJECT / "pacs" / "CONFORMANCE.md"


def document_with_tables(text: str) -> str:
    """Return the statement with each table between its marks as the code has it now.

    Raises
    ------
    KeyError
        A mark names no table.
    """
    mark = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
    return mark.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def tables_named(text: str) -> set[str]:
    """Return the names of the tables that a statement has."""
    return set(re.findall(r"<!-- table: ([a-z-]+) -->", text))


def main() -> int:
    """Tell whether the statement says what the code does, or make it so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="bring the tables of the statement up to date")
    is_written = parser.parse_args().write
    text = DOCUMENT.read_text("utf-8")
    made = document_with_tables(text)
    if is_written:
        DOCUMENT.write_text(made, "utf-8")
    elif made != text:
        print("pacs/CONFORMANCE.md differs from the code; 'make conformance' brings it up to date")
    return int(made != text and not is_written)


if __name__ == "__main__":
    sys.exit(main())
