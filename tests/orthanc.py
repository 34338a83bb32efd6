"""Orthanc (Debian's package) as another hospital's archive: it sends, asks, and is sent to."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.data import program
from tests.servers import free_ports

_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running one, spoken to by its REST API."""

    dicom_port: int
    http_url: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return what comes back."""
        content = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        return json.loads(self._request(method, path, content))

    def download(self, path: str) -> bytes:
        """Return a file."""
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, content: bytes | str | None) -> bytes:
        answer = httpx.request(method, f"{self.http_url}{path}", content=content, timeout=60)
        answer.raise_for_status()
        return answer.content


@contextmanager
def running_orthanc(
    folder: Path, modalities: dict[str, list[object]], more: dict[str, object] | None = None
) -> Iterator[Orthanc]:
    """Run Orthanc under the AE title ORTHANC with its own storage.

    Parameters
    ----------
    modalities
        Whom it knows: AE title, host and port by the name that its API uses.
    more
        Of its settings.
    """
    dicom_port, http_port = free_ports(2)
    settings = {
        "StorageDirectory": str(folder / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "DicomModalities": modalities,
        "AuthenticationEnabled": False,
        **(more or {}),
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program("Orthanc"), str(configuration)], stdout=log, stderr=log)
    try:
        orthanc = Orthanc(dicom_port, f"http://127.0.0.1:{http_port}")
        _wait(orthanc)
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)


def _wait(orthanc: Orthanc) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            orthanc.ask("GET", "/system")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("Orthanc did not start")
