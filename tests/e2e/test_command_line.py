from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import STOPPED_WITHIN_S, clean_environment, running_up


def filmless(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pacs.cli", *arguments],
        cwd=cwd,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        *("up", "demo", "listen", "web", "work", "import", "sweep", "verify", "rebuild-index"),
        *("conflicts", "ledger", "migrate", "claim-store", "echo", "spool", "settings", "version"),
    ],
)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    done = filmless(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5
    assert "supervisor" not in done.stdout


def test_up_opens_three_doors_takes_an_image_in_and_stops_within_ten_seconds(tmp_path: Path) -> None:
    image = tmp_path / "image.dcm"
    image.write_bytes(encode_file(make_dataset()))
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": "data in a folder"}) as archive:
        assert [line.split()[0] for line in archive.output][:1] != []
        doors = {line.split()[0] for line in archive.output if line.rstrip().endswith("ready")}
        assert doors == {"DICOM", "Web", "Worker"}
        subprocess.run(
            [program("storescu"), "-aec", "FILMLESS", "127.0.0.1", str(archive.dicom_port), str(image)],
            check=True,
        )
        studies = httpx.get(f"{archive.http_url}/dicom-web/studies").json()
        assert studies[0]["00100010"]["Value"][0]["Alphabetic"] == "NGUYỄN^VĂN ĐỨC"
        assert archive.stop() < STOPPED_WITHIN_S
        assert archive.process.returncode == 0
        assert "NGUY" not in archive.printed()
        assert "BN0001" not in archive.printed()


def test_several_processes_share_each_door(tmp_path: Path) -> None:
    environment = {
        "FILMLESS_DATA_DIR": "data",
        "FILMLESS_DICOM_PROCESSES": "2",
        "FILMLESS_HTTP_PROCESSES": "2",
    }
    with running_up(tmp_path, environment) as archive:
        assert len(archive.children("listen")) == 2
        assert len(archive.children("web")) == 2
        assert len(archive.children("work")) == 1


def test_children_stop_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": "data"}) as archive:
        children = [pid for command in ("listen", "web", "work") for pid in archive.children(command)]
        assert len(children) == 4
        archive.process.kill()
        archive.process.wait()
        subprocess.run(
            ["timeout", "10", "tail", *(f"--pid={pid}" for pid in children), "-f", "/dev/null"], check=True
        )


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"FILMLESS_HTTP_HOST": "0.0.0.0"}, "show them every patient"),
        ({"FILMLESS_HTP_PORT": "1"}, "did you mean FILMLESS_HTTP_PORT"),
        ({"FILMLESS_DATABASE_URL": "mysql://localhost/x"}, "neither SQLite nor PostgreSQL"),
        ({"FILMLESS_DATABASE_URL": "postgresql://x:secret@127.0.0.1:port/x"}, "DATABASE_URL"),
        ({"FILMLESS_DATA_DIR": "/dev/null"}, "DATA_DIR=/dev/null"),
        ({"FILMLESS_DATA_DIR": ""}, "FILMLESS_DATA_DIR"),
        ({"FILMLESS_CODE_RULES": "not json"}, "code_rules"),
        ({"FILMLESS_DICOM_HOST": "nohost.invalid", "FILMLESS_LAN_OPEN": "true"}, "not a known address"),
        ({"FILMLESS_STORE_URL": "ftp://x"}, "ftp"),
    ],
)
def test_up_refuses_wrong_settings_in_one_line_without_a_traceback(
    environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    done = filmless("up", cwd=tmp_path, **environment)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "secret" not in done.stderr + done.stdout


def test_up_tells_a_port_that_is_taken(tmp_path: Path) -> None:
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": "data"}) as archive:
        done = filmless("up", cwd=tmp_path, FILMLESS_DICOM_PORT=str(archive.dicom_port))
        assert done.returncode != 0
        assert f"DICOM_PORT={archive.dicom_port} is in use" in done.stderr


def test_echo_reaches_a_device_and_tells_what_is_wrong_with_another(tmp_path: Path) -> None:
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": "data"}) as archive:
        peer = f"127.0.0.1:{archive.dicom_port}"
        assert "answered in" in filmless("echo", peer, "FILMLESS", cwd=tmp_path).stdout
        wrong_title = filmless("echo", peer, "NOBODY", cwd=tmp_path)
        assert wrong_title.returncode != 0
        assert "NOBODY" in wrong_title.stderr
        assert "Traceback" not in wrong_title.stderr
    away = filmless("echo", peer, "FILMLESS", cwd=tmp_path)
    assert away.returncode != 0
    assert "Traceback" not in away.stderr
    assert filmless("echo", "no-port", "X", cwd=tmp_path).returncode != 0


def test_settings_shows_values_with_their_source_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "filmless.toml").write_text('ae_title = "BACHMAI"\n')
    done = filmless("settings", cwd=tmp_path, FILMLESS_DATABASE_URL="postgresql://filmless:geheim@db/x")
    assert "BACHMAI" in done.stdout
    assert "filmless.toml" in done.stdout
    assert "environment" in done.stdout
    assert "geheim" not in done.stdout


def test_migrate_may_run_again(tmp_path: Path) -> None:
    assert "was empty" in filmless("migrate", cwd=tmp_path).stdout
    assert "unchanged" in filmless("migrate", cwd=tmp_path).stdout


def test_a_listener_without_migrated_tables_says_what_to_run(tmp_path: Path) -> None:
    done = filmless("listen", cwd=tmp_path, FILMLESS_DICOM_PORT="0")
    assert done.returncode != 0
    assert "filmless migrate" in done.stderr


def test_up_waits_for_the_disk_of_its_store_and_makes_no_other_in_its_place(tmp_path: Path) -> None:
    store, unmounted = tmp_path / "disk", tmp_path / "unmounted"
    environment = {"FILMLESS_DATA_DIR": str(tmp_path / "data"), "FILMLESS_STORE_URL": store.as_uri()}
    assert filmless("migrate", cwd=tmp_path, **environment).returncode == 0
    store.rename(unmounted)
    store.mkdir()  # the mount point
    done = filmless("listen", cwd=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (
        2,
        f"filmless: {store}: no store is there; is its disk mounted?\n",
    )
    ports = {"FILMLESS_DICOM_PORT": "0", "FILMLESS_HTTP_PORT": "0"}
    up = subprocess.Popen(
        [sys.executable, "-m", "pacs.cli", "up"],
        cwd=tmp_path,
        env=clean_environment(environment | ports),
        stdout=subprocess.PIPE,
        text=True,
    )
    with up:
        assert up.stdout is not None
        assert up.stdout.readline().startswith("waiting, trying again in 5 s: ")
        assert list(store.iterdir()) == []
        store.rmdir()
        unmounted.rename(store)
        assert any(line.startswith("Worker  ready") for line in up.stdout)
        up.terminate()


def test_a_copy_without_its_identity_is_claimed(tmp_path: Path) -> None:
    environment = {"FILMLESS_DATA_DIR": str(tmp_path / "data")}
    assert filmless("migrate", cwd=tmp_path, **environment).returncode == 0
    (tmp_path / "data" / "objects" / "store.json").unlink()
    refused = filmless("sweep", cwd=tmp_path, **environment)
    assert refused.returncode == 2
    assert "run 'filmless claim-store'" in refused.stderr
    claimed = filmless("claim-store", "--yes", cwd=tmp_path, **environment)
    assert claimed.returncode == 0
    assert "the store (STORE_URL): 0 of 0 objects that were looked for are in it" in claimed.stdout
    assert filmless("sweep", cwd=tmp_path, **environment).returncode == 0
