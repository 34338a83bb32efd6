"""Commands about send jobs, in this process: what they say, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pacs.archive import Archive
from pacs.cli import app
from pacs.index.known_peers import KnownPeer
from pacs.ingest import Origin, open_part10, store_instance
from tests.backends import fresh_archive
from tests.datasets import encode_file, make_dataset

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with fresh_archive("sqlite-folder", tmp_path) as opened:
        opened.index.peers.add(KnownPeer("WS1", "192.168.1.30", 104))
        yield opened


@pytest.fixture
def run(archive: Archive) -> Run:
    from pacs.own_stores import require_own_stores

    require_own_stores(archive)

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.output

    return invoke


def store(archive: Archive) -> str:
    incoming = open_part10([encode_file(make_dataset())])
    return store_instance(archive, incoming, Origin("stow")).study_instance_uid


def test_jobs_are_wished_for_listed_and_steered_by_number_or_by_peer(archive: Archive, run: Run) -> None:
    one, other = store(archive), store(archive)
    code, told = run("send", one, other, "--to", "WS1", "--priority", "3")
    assert code == 0
    assert [line.split()[1:] for line in told.splitlines()] == [
        ["waiting", "-", "WS1", one],
        ["waiting", "-", "WS1", other],
    ]
    first, second = (line.split()[0] for line in told.splitlines())
    assert run("jobs", "pause", first)[1].split()[1] == "paused"
    assert [line.split()[0] for line in run("jobs", "list")[1].splitlines()] == [second, first]
    assert run("jobs", "list", "--state", "paused", "--to", "WS1")[1].split()[0] == first
    assert run("jobs", "resume", "--to", "WS1")[1].split()[:2] == [first, "waiting"]
    cancelled = run("jobs", "cancel", "--to", "WS1")[1]
    assert [line.split()[1] for line in cancelled.splitlines()] == ["cancelled", "cancelled"]
    assert run("jobs", "retry", first)[1].split()[1] == "waiting"
    code, told = run("jobs", "show", first)
    assert code == 0
    assert "wished for by operator" in told
    assert "0 of 0 instances sent, 0 with a warning, 0 refused" in told


def test_what_is_not_there_is_said(run: Run) -> None:
    assert run("jobs", "list") == (0, "there are no such jobs\n")
    assert run("jobs", "pause", "--to", "WS1") == (0, "there are no such jobs\n")
    for wrong in (("pause",), ("retry", "1", "--to", "WS1")):
        code, told = run("jobs", *wrong)
        assert (code, "give the numbers of jobs" in told) == (2, True)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("500kB", "500 kB/s"),
        ("2MB", "2.0 MB/s"),
        ("1 MB/s", "1.0 MB/s"),
        ("65536", "66 kB/s"),
        ("1G", "1.0 GB/s"),
    ],
)
def test_a_limit_is_typed_as_people_say_it(run: Run, typed: str, told: str) -> None:
    code, line = run(
        "peers", "change", "WS1", "--send-limit", typed, "--send-hours", "1:00-5:00", "--send-at-a-time", "2"
    )
    assert code == 0
    assert f"send 01:00-05:00  send {told}  send 2 at a time" in line
    assert "send" not in run(
        "peers", "change", "WS1", "--send-limit", "-", "--send-hours", "-", "--send-at-a-time", "1"
    )[1].replace("store", "")


def test_what_is_no_limit_is_refused(run: Run) -> None:
    assert run("peers", "change", "WS1", "--send-limit", "fast")[0] == 2


def test_routes_are_added_listed_and_removed(run: Run) -> None:
    assert run("routes", "list")[1] == "there are no routes; 'filmless routes add' adds one\n"
    conditions = ("--modality", "CT, MR", "--from", "CT1", "--station", "CT*", "--institution", "Bệnh viện *")
    code, told = run(
        "routes", "add", "night", "--to", "WS1", *conditions, "--body-part", "CHEST",
        "--hours", "22:00-5:00", "--quiet", "30", "--priority", "-2",
    )  # fmt: skip
    assert code == 0
    assert " ".join(told.split()) == (
        "night to WS1 modality CT,MR; from CT1; station CT*; body part CHEST; institution Bệnh viện *; "
        "hours 22:00-05:00; when quiet for 30 s; priority -2"
    )
    assert run("routes", "list")[1] == told
    assert "everything; when quiet for 60 s" in run("routes", "add", "all", "--to", "WS1")[1]
    assert run("routes", "remove", "night") == (0, "night is no route any more\n")
    assert run("routes", "add", "x", "--to", "NOBODY")[0] == 1
    assert run("routes", "remove", "night")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("WS1",), "give --study, --patient or --accession"),
        (("WS1", "--patient", "BN*"), "without wildcards"),
        (("WS1", "--study", "1..2"), "UID"),
        (("WS1", "--study", "1.2", "--by", "web"), "no DICOMweb URL"),
        (("NOBODY", "--study", "1.2"), "there is no peer NOBODY"),
    ],
)
def test_what_cannot_be_fetched_is_said_at_once(run: Run, arguments: tuple[str, ...], told: str) -> None:
    from pacs.errors import ArchiveError

    result = CliRunner().invoke(app, ["fetch", *arguments])
    assert isinstance(result.exception, ArchiveError)
    assert told in str(result.exception)


def test_a_peer_over_http_that_is_asked_for_commitment_is_listed_so(run: Run) -> None:
    code, line = run(
        "peers", "change", "WS1", "--web", "https://ws1.example.vn/dicom-web", "--ask-commitment"
    )
    assert code == 0
    assert "https://ws1.example.vn/dicom-web  asked for commitment" in line
    assert "https" not in run("peers", "change", "WS1", "--web", "-", "--no-commitment")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "show"),
        ("jobs", "retry"),
        ("matches", "show"),
        ("matches", "accept"),
        ("prefetches", "cancel"),
        ("conflicts", "show"),
        ("conflicts", "settle", "--keep", "new"),
    ],
)
def test_a_number_that_no_database_counts_to_is_refused_in_a_line(
    run: Run, arguments: tuple[str, ...]
) -> None:
    code, told = run(*arguments, str(2**63))
    assert code == 2
    assert "Invalid value" in told


@pytest.mark.parametrize("given", ["", " , "])
def test_an_empty_condition_of_a_route_does_not_lead_everything_there(run: Run, given: str) -> None:
    code, told = run("routes", "add", "ct", "--to", "WS1", "--modality", given)
    assert (code, "a condition has a value" in told) == (2, True)
    assert run("routes", "list")[1] == "there are no routes; 'filmless routes add' adds one\n"
