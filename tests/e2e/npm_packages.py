"""Packages of npm, for tests that meet them: fetched by npm itself, whole, never installed."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.data import program, require

FETCHED_WITHIN_S = 300


def fetch_package(name: str, version: str, folder: Path) -> Path:
    """Fetch the tarball of a package into ``folder``; skip the test where there is no npm or no network."""
    command = [program("npm"), "pack", "--silent", f"{name}@{version}"]
    run = subprocess.run(command, check=False, cwd=folder, capture_output=True, timeout=FETCHED_WITHIN_S)
    tarballs = list(folder.glob("*.tgz"))
    require(run.returncode == 0 and tarballs, f"the npm package {name} {version}")
    return tarballs[0]


def read_packaged(tarball: Path, path: str) -> str:
    """Read a text file of a package."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(f"package/{path}")
        assert member is not None
        return member.read().decode("utf-8")


def install_package(name: str, version: str, folder: Path) -> Path:
    """Install a package and what it needs, running none of it; return its ``node_modules``."""
    quietly = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    command = [program("npm"), "install", *quietly, "--prefix", str(folder), f"{name}@{version}"]
    run = subprocess.run(command, check=False, cwd=folder, capture_output=True, timeout=FETCHED_WITHIN_S)
    modules = folder / "node_modules"
    require(run.returncode == 0 and (modules / name).is_dir(), f"the npm package {name} {version}")
    return modules
