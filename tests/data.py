"""Where the tests find real data and foreign programs, and what happens when they are missing."""

from __future__ import annotations

import csv
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared"


def require(present: object, what: str) -> None:
    """Skip the test where ``what`` is missing; fail it where everything must be there (CI)."""
    if present:
        return
    if os.environ.get("FILMLESS_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing, and FILMLESS_REQUIRE_ALL=1 forbids a skip")
    pytest.skip(f"{what} is not here")


def find_program(name: str) -> str | None:
    """Path of a foreign program, None where there is none.

    pynetdicom brings scripts with the names of dcmtk's programs, which an active environment puts first.
    Servers (Orthanc) lie where an ordinary user's path does not lead.
    """
    ours = Path(sysconfig.get_path("scripts"))
    elsewhere = [folder for folder in (*os.get_exec_path(), "/usr/sbin") if Path(folder) != ours]
    return shutil.which(name, path=os.pathsep.join(elsewhere))


def program(name: str) -> str:
    """Path of a foreign program, or a skip."""
    found = find_program(name)
    require(found, f"the program {name}")
    return str(found)


def shared_data(*parts: str) -> Path:
    """Path below the shared data folder, or a skip."""
    path = SHARED.joinpath("data", *parts)
    require(path.exists(), f"shared data {'/'.join(parts) or 'folder'}")
    return path


def has_shared_data() -> bool:
    """Tell whether the shared data folder is there, for parametrisation at collection time."""
    return (SHARED / "data" / "MANIFEST.csv").exists()


def read_manifest() -> Iterator[dict[str, str]]:
    """Rows of the data set's manifest; none where the data is absent (pair it with ``shared_data()``)."""
    manifest = SHARED / "data" / "MANIFEST.csv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
