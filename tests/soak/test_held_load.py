"""An afternoon's load, held: 60 CT slices a second on PostgreSQL and S3, in time and with even memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from statistics import mean, quantiles

import pytest

from tests.bench.measure import own_memory_bytes
from tests.e2e.archive_process import running_up
from tests.soak.archives import judge_twice, postgresql_and_s3, shortened
from tests.soak.conftest import Tell
from tests.soak.modality import SUCCESS, Ledger, OpenAssociation, make_images

_PER_S, _ASSOCIATIONS, _SIDE = 60, 4, 512
_SECONDS = shortened("SOAK_SECONDS", 600)
_P99_MS = 250
_MAY_GROW_BYTES = 32 * 1024**2  # from the second quarter to the last: caches fill, and no more


class PacedModality(threading.Thread):
    """Sends images at fixed times. What comes too late counts from when it was due."""

    def __init__(self, port: int, first_at: float, every_s: float, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.first_at, self.every_s, self.until = port, first_at, every_s, until
        self.ledger: Ledger = {}
        self.taken_ms: list[float] = []
        self.start()

    def run(self) -> None:
        images, due = make_images(_SIDE), self.first_at
        with OpenAssociation(self.port, self.ledger) as association:
            while due < self.until:
                image = next(images)
                time.sleep(max(0, due - time.monotonic()))
                assert association.send(image) == SUCCESS
                self.taken_ms.append(1000 * (time.monotonic() - due))
                due += self.every_s


@pytest.mark.soak
def test_a_held_load_is_answered_in_time_with_even_memory(tmp_path: Path, tell: Tell) -> None:
    with postgresql_and_s3(tmp_path) as setup, running_up(tmp_path, setup.environment) as archive:
        begin = time.monotonic() + 1
        modalities = [
            PacedModality(archive.dicom_port, begin + n / _PER_S, _ASSOCIATIONS / _PER_S, begin + _SECONDS)
            for n in range(_ASSOCIATIONS)
        ]
        memory = []
        while any(modality.is_alive() for modality in modalities):
            time.sleep(1)
            memory.append(own_memory_bytes([archive.process.pid]))
        ledger = {uid: entry for modality in modalities for uid, entry in modality.ledger.items()}
        taken_ms = [ms for modality in modalities for ms in modality.taken_ms]
        assert len(taken_ms) > 0.99 * _PER_S * _SECONDS, "a modality gave up"
        quarter = len(memory) // 4
        early, late = mean(memory[quarter : 2 * quarter]), mean(memory[-quarter:])
        cuts = quantiles(taken_ms, n=100)
        tell(
            judge_twice(archive, setup, tmp_path, ledger),
            p50_ms=round(cuts[49]),
            p99_ms=round(cuts[98]),
            slowest_ms=round(max(taken_ms)),
            memory_mb=f"{early / 1e6:.0f} -> {late / 1e6:.0f}",
        )
        assert cuts[98] < _P99_MS, f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, max {max(taken_ms):.0f} ms"
        assert late < early + _MAY_GROW_BYTES, f"{early / 1e6:.0f} MB grew to {late / 1e6:.0f} MB"
