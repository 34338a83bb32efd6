"""dcmtk's programs as modalities: every real file that they can read and send is taken in."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from pacs.peers import KEPT_FOR_S
from tests.certificates import Authority
from tests.data import program, read_manifest, shared_data
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.operator_commands import finished, start
from tests.servers import free_ports

ANSWERED = re.compile(r"^I: Received Store Response \((.+)\)$", re.MULTILINE)

# The only files that storescu can send and an archive cannot place: they have no Study Instance UID, but for
# the first, whose SOP Instance UID has 67 characters.
UNPLACEABLE = {
    "pr_gsps/jpeg2000-multiframe-multifragments.dcm",
    "sc_colour_matrix/SC_rgb_jls_lossy_line.dcm",
    "sc_colour_matrix/SC_rgb_jls_lossy_sample.dcm",
    "ts_jpegls/JLSL_08_07_0_1F.dcm",
    "ts_jpegls/JLSL_16_15_1_1F.dcm",
    "ts_jpegls/JPEGLSNearLossless_08.dcm",
    "ts_jpegls/JPEGLSNearLossless_16.dcm",
}


def files_by_transfer_syntax() -> dict[str, list[dict[str, str]]]:
    """Group the proper files; those without a readable header and those broken on purpose are left out."""
    groups = defaultdict(list)
    for row in read_manifest():
        if row["ts"] and row["sop"] and not row["file"].startswith("malformed"):
            groups[row["ts"]].append(row)
    return groups


def write_profile(path: Path, transfer_syntax_uid: str, sop_class_uids: set[str]) -> None:
    """Write a configuration of storescu that proposes each SOP class in this one transfer syntax."""
    contexts = "\n".join(
        f"PresentationContext{number} = {uid}\\Only"
        for number, uid in enumerate(sorted(sop_class_uids), start=1)
    )
    path.write_text(
        f"[[TransferSyntaxes]]\n[Only]\nTransferSyntax1 = {transfer_syntax_uid}\n"
        f"[[PresentationContexts]]\n[All]\n{contexts}\n"
        "[[Profiles]]\n[All]\nPresentationContexts = All\n"
    )


def test_dcmtk_asks_whether_the_archive_hears(running_archive: ArchiveProcess) -> None:
    port = str(running_archive.dicom_port)
    done = subprocess.run([program("echoscu"), "-v", "-aec", "FILMLESS", "127.0.0.1", port], check=False)
    assert done.returncode == 0
    wrong = subprocess.run(
        [program("echoscu"), "-aec", "NOBODY", "127.0.0.1", port], check=False, capture_output=True
    )
    assert wrong.returncode != 0


def test_a_device_with_a_certificate_stores_over_tls_and_one_without_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMLESS_DATA_DIR", str(tmp_path / "data"))
    authority = Authority.create(tmp_path / "hospital")
    ours, device = authority.issue("pacs"), authority.issue("ct")
    settings = {
        "FILMLESS_DICOM_TLS_PORT": "0",
        "FILMLESS_DICOM_TLS_CERTIFICATE": str(ours.certificate),
        "FILMLESS_DICOM_TLS_KEY": str(ours.key),
        "FILMLESS_DICOM_TLS_AUTHORITIES": str(ours.authorities),
    }
    dataset, bound = make_dataset(), authority.issue("mr")
    file = tmp_path / "ct.dcm"
    file.write_bytes(encode_file(dataset))
    shown = ["+tls", str(device.key), str(device.certificate), "+cf", str(device.authorities)]
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": str(tmp_path / "data"), **settings}) as archive:
        target = ["-aec", "FILMLESS", "127.0.0.1", str(archive.tls_port), str(file)]
        assert subprocess.run([program("storescu"), *shown, *target], check=False).returncode == 0
        assert subprocess.run([program("storescu"), *target], check=False).returncode != 0
        added = ["peers", "add", "MR1", "--certificate", str(bound.certificate)]
        assert finished(start(*added))[0] == 0
        time.sleep(KEPT_FOR_S + 0.5)
        own = ["+tls", str(bound.key), str(bound.certificate), "+cf", str(bound.authorities)]
        called = [program("echoscu"), "-aet", "MR1", "-aec", "FILMLESS"]
        tls_door = ["127.0.0.1", str(archive.tls_port)]
        assert subprocess.run([*called, *own, *tls_door], check=False).returncode == 0
        assert subprocess.run([*called, *shown, *tls_door], check=False).returncode != 0
        assert subprocess.run([*called, "127.0.0.1", str(archive.dicom_port)], check=False).returncode != 0
        found = httpx.get(f"{archive.http_url}/dicom-web/instances").json()
    assert [one["00080018"]["Value"] for one in found] == [[dataset.SOPInstanceUID]]


def test_a_study_is_moved_over_tls_to_a_workstation_that_shows_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMLESS_DATA_DIR", str(tmp_path / "data"))
    authority = Authority.create(tmp_path / "hospital")
    ours, workstation, other = (authority.issue(name) for name in ("pacs", "ws", "other"))
    settings = {
        "FILMLESS_DATA_DIR": str(tmp_path / "data"),
        "FILMLESS_DICOM_TLS_PORT": "0",
        "FILMLESS_DICOM_TLS_CERTIFICATE": str(ours.certificate),
        "FILMLESS_DICOM_TLS_KEY": str(ours.key),
        "FILMLESS_DICOM_TLS_AUTHORITIES": str(ours.authorities),
    }
    dataset, received = make_dataset(), tmp_path / "received"
    received.mkdir()
    (port,) = free_ports(1)
    shown = ["+tls", str(workstation.key), str(workstation.certificate), "+cf", str(workstation.authorities)]
    with (
        running_up(tmp_path, settings) as archive,
        subprocess.Popen([program("storescp"), *shown, "-od", str(received), str(port)]) as storescp,
    ):
        try:
            httpx.post(
                f"{archive.http_url}/dicom-web/studies",
                content=encode_file(dataset),
                headers={"Content-Type": "application/dicom"},
            ).raise_for_status()
            added = ["peers", "add", "WS1", f"127.0.0.1:{port}", "--tls"]
            assert finished(start(*added, "--certificate", str(other.certificate)))[0] == 0
            assert move(archive, "WS1", dataset.StudyInstanceUID) != 0
            assert list(received.iterdir()) == []
            changed = ["peers", "change", "WS1", "--certificate", str(workstation.certificate)]
            assert finished(start(*changed))[0] == 0
            time.sleep(KEPT_FOR_S + 0.5)
            assert move(archive, "WS1", dataset.StudyInstanceUID) == 0
            (file,) = received.iterdir()
            assert dcmread(file).SOPInstanceUID == dataset.SOPInstanceUID
        finally:
            storescp.terminate()


def move(archive: ArchiveProcess, destination: str, study_instance_uid: str) -> int:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_instance_uid}"]
    command = [program("movescu"), "-S", "-aec", "FILMLESS", "-aem", destination, *keys]
    return subprocess.run([*command, "127.0.0.1", str(archive.dicom_port)], check=False).returncode


def test_storescu_sends_folders_and_every_file_that_it_can_send_is_accepted(
    running_archive: ArchiveProcess, tmp_path: Path
) -> None:
    refused, accepted = set(), 0
    for transfer_syntax_uid, rows in files_by_transfer_syntax().items():
        paths = [shared_data(*Path(row["file"]).parts) for row in rows]
        classes = {
            str(dcmread(path, stop_before_pixels=True, force=True).get("SOPClassUID", "")) for path in paths
        }
        profile = tmp_path / "profile.cfg"
        write_profile(profile, transfer_syntax_uid, classes - {"", "1.2.840.10008.1.3.10"})
        command = [program("storescu"), "-v", "-nh", "-xf", str(profile), "All", "-aec", "FILMLESS"]
        command += ["127.0.0.1", str(running_archive.dicom_port), *map(str, paths)]
        log = subprocess.run(command, capture_output=True, check=False).stderr.decode("latin-1")
        for part in log.split("I: Sending file: ")[1:]:
            name = Path(part.splitlines()[0]).relative_to(shared_data()).as_posix()
            answer = ANSWERED.search(part)
            if answer is None:
                continue  # storescu could not read or send it
            if answer[1] in ("Success", "Warning: CoercionOfDataElements"):
                accepted += 1
            else:
                refused.add(name)
    assert accepted > 500
    assert refused <= UNPLACEABLE


@pytest.mark.parametrize("folder", ["ct_series_philips_phantom_54", "us"])
def test_plain_storescu_sends_a_folder(running_archive: ArchiveProcess, folder: str) -> None:
    command = [program("storescu"), "-v", "-nh", "+sd", "+r", "-aec", "FILMLESS"]
    command += ["127.0.0.1", str(running_archive.dicom_port), str(shared_data(folder))]
    log = subprocess.run(command, capture_output=True, check=False).stderr.decode("latin-1")
    answers = ANSWERED.findall(log)
    assert answers
    assert set(answers) <= {"Success", "Warning: CoercionOfDataElements"}
