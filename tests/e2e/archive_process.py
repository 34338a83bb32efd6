"""``filmless up`` as a real process, for tests that meet it from the outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 10.0


@dataclass(slots=True)
class ArchiveProcess:
    """A running archive and what it printed so far."""

    process: subprocess.Popen[str]
    data_dir: Path
    ae_title: str = "FILMLESS"
    http_url: str = ""
    dicom_port: int = 0
    tls_port: int = 0  # none
    output: list[str] = field(default_factory=list)

    def children(self, command: str) -> list[int]:
        """Process ids of the children that run ``filmless COMMAND``."""
        listing = subprocess.run(
            ["ps", "--ppid", str(self.process.pid), "-o", "pid=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        return [
            int(line.split()[0]) for line in listing.stdout.splitlines() if f"pacs.cli {command} " in line
        ]

    def printed(self) -> str:
        """Everything printed so far."""
        return "".join(self.output)

    def stop(self) -> float:
        """Ask it to stop as an init system does; return how many seconds it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=STOPPED_WITHIN_S + 5)
        return time.monotonic() - begin


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Our environment without settings of the developer's own, and with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILMLESS_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **environment}


@contextmanager
def running_up(
    folder: Path,
    environment: Mapping[str, str],
    command: str = "up",
    tracer: Sequence[str] = (),
    ready_within_s: float = READY_WITHIN_S,
) -> Iterator[ArchiveProcess]:
    """Run ``filmless up`` on free ports in ``folder`` until the block ends; ready when it begins.

    ``tracer`` is the beginning of a command line that runs the rest of it in its own process.
    """
    ports = {"FILMLESS_DICOM_PORT": "0", "FILMLESS_HTTP_PORT": "0"}
    process = subprocess.Popen(
        [*tracer, sys.executable, "-m", "pacs.cli", command],
        cwd=folder,
        env=clean_environment({**ports, **environment}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    archive = ArchiveProcess(process, folder / "data")
    reader = threading.Thread(target=_read, args=(archive,), daemon=True)
    reader.start()
    try:
        _wait_until_ready(archive, ready_within_s)
        yield archive
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=STOPPED_WITHIN_S + 5)
            except subprocess.TimeoutExpired:
                process.kill()
        reader.join(timeout=5)


def _read(archive: ArchiveProcess) -> None:
    assert archive.process.stdout is not None
    for line in archive.process.stdout:
        archive.output.append(line)


def _wait_until_ready(archive: ArchiveProcess, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and archive.process.poll() is None:
        printed = archive.printed()
        dicom = re.search(r"DICOM +\S+ on \S+:(\d+)(?: and (\d+) with TLS)? +ready", printed)
        web = re.search(r"Web +(http://\S+?)/ +ready", printed)
        if dicom and web and re.search(r"Worker +ready", printed):
            archive.dicom_port, archive.http_url = int(dicom[1]), web[1]
            archive.tls_port = int(dicom[2] or 0)
            return
        time.sleep(0.05)
    raise AssertionError(f"the archive did not become ready:\n{archive.printed()}")
