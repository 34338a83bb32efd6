"""The ways to the object store and to the database break at random, and nothing acknowledged is missing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy.engine import make_url

from tests.e2e.archive_process import running_up
from tests.servers import shared_seaweedfs
from tests.soak.archives import judge_twice, postgresql_and_s3, shortened, wait_until
from tests.soak.conftest import Tell
from tests.soak.fault_proxy import Fault, fault_proxy
from tests.soak.modality import Modality, stop

_OF_ANY_SERVER = (Fault.CUT, Fault.RESET, Fault.DELAY, Fault.CUT_ANSWER)
_S3_FAULTS = (*_OF_ANY_SERVER, Fault.BUSY)


@pytest.mark.parametrize(
    ("seconds", "black_holes"),
    [
        pytest.param(6, False, id="short"),
        pytest.param(shortened("SOAK_SECONDS", 300), True, id="long", marks=pytest.mark.soak),
    ],
)
def test_ways_that_break_at_random_lose_nothing_acknowledged(
    seconds: int, black_holes: bool, tmp_path: Path, tell: Tell
) -> None:
    more = (Fault.BLACK_HOLE,) if black_holes else ()
    s3_url = shared_seaweedfs().endpoint_url
    with (
        postgresql_and_s3(tmp_path) as direct,
        fault_proxy(urlsplit(s3_url).port or 0, _S3_FAULTS + more, 0.05) as to_s3,
        fault_proxy(
            make_url(direct.environment["FILMLESS_DATABASE_URL"]).port or 0, _OF_ANY_SERVER + more, 0.01
        ) as to_database,
    ):
        environment = {
            **direct.environment,
            "FILMLESS_STORE_URL": direct.environment["FILMLESS_STORE_URL"].replace(
                quote(s3_url, safe=""), quote(f"http://127.0.0.1:{to_s3.port}", safe="")
            ),
            "FILMLESS_DATABASE_URL": make_url(direct.environment["FILMLESS_DATABASE_URL"])
            .set(port=to_database.port)
            .render_as_string(hide_password=False),
        }
        assert environment["FILMLESS_STORE_URL"] != direct.environment["FILMLESS_STORE_URL"]
        with running_up(tmp_path, environment) as archive:
            modalities = [Modality(archive.dicom_port) for _ in range(3)]
            to_s3.faulty = to_database.faulty = True
            time.sleep(seconds)
            to_s3.faulty = to_database.faulty = False
            enough = [modality.acknowledged + 5 for modality in modalities]
            wait_until(
                # Each of them: sessions that a black hole cut off may lock one study, and not another.
                lambda: all(m.acknowledged >= n for m, n in zip(modalities, enough, strict=True)),
                "the archive to recover by itself",
                120,
            )
            ledger = stop(modalities)
            faults = dict(to_s3.met + to_database.met)
            assert len(faults) >= 3, f"hardly any fault was met: {faults}"
            tell(
                judge_twice(archive, replace(direct, environment=environment), tmp_path, ledger),
                faults=faults,
            )
