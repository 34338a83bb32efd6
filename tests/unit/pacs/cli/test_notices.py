"""Commands about notices, in this process: who is told what, and what they refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest import raises
from typer.testing import CliRunner

from pacs.archive import Archive
from pacs.cli import app
from pacs.errors import InvalidRequest
from pacs.index.known_peers import KnownPeer
from pacs.index.notices import NoticeKind, NoticeWish
from pacs.own_stores import require_own_stores
from tests.backends import fresh_archive


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def wish(archive: Archive, *wishes: NoticeWish) -> None:
    notices = archive.index.notices
    before = notices.cursor().sequence
    assert notices.advance(before, before + 1, wishes, datetime.now(UTC))


def test_what_waits_and_what_was_refused_is_listed_and_tried_again(tmp_path: Path) -> None:
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        require_own_stores(archive)
        archive.index.peers.add(KnownPeer("RIS", "192.168.1.30", 104))
        assert run("notices", "list") == "nothing waits\n"
        due = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        wish(
            archive,
            NoticeWish("RIS", NoticeKind.PERFORMED, "1.2.3", due, 1, "performed/x"),
            NoticeWish("RIS", NoticeKind.PERFORMED, "1.2.3", due + timedelta(hours=1), 2, "performed/y"),
            NoticeWish("HIS", NoticeKind.AVAILABLE, "1.2.4", due),
            NoticeWish("HIS", NoticeKind.PERFORMED, "1.2.3", due, 1, "performed/x"),
            NoticeWish("HIS", NoticeKind.PERFORMED, "1.2.3", due, 2, "performed/y"),
        )
        work = archive.index.notice_work
        told = work.claim("RIS", due + timedelta(hours=2), timedelta(0))
        assert told is not None
        work.refuse(told, "the peer answered 0106")
        lines = [
            "RIS               N-CREATE of step  1.2.3  given up: the peer answered 0106",
            "RIS               N-SET 1 of step   1.2.3  waits for its N-CREATE, which is given up",
            "HIS               study available   1.2.4  next at 2026-11-23 08:00:00 UTC",
            "HIS               N-CREATE of step  1.2.3  next at 2026-11-23 08:00:00 UTC",
            "HIS               N-SET 1 of step   1.2.3  waits for its N-CREATE",
        ]
        assert run("notices", "list").splitlines() == lines
        assert run("notices", "list", "--to", "RIS", "--refused").splitlines() == lines[:1]
        assert run("notices", "retry", "RIS") == "2 will be tried at once\n"
        assert run("notices", "list", "--refused") == "nothing waits\n"


def test_a_peer_is_told_what_it_is_set_up_for(tmp_path: Path) -> None:
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        require_own_stores(archive)
        archive.index.peers.add(KnownPeer("RIS", "192.168.1.30", 104))
        line = run("peers", "change", "RIS", "--notify-available", "--forward-performed")
        assert "told of studies  gets performed steps" in line
        assert "gets" not in run("peers", "change", "RIS", "--no-performed")
        assert archive.index.peers.find("RIS").wants_availability
        assert "told" not in run("peers", "change", "RIS", "--no-notice")
        with raises(InvalidRequest, match="host and a port"):
            run("peers", "add", "CT1", "--notify-available")
