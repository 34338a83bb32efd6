"""An administrator hears of a certificate that ends before the devices refuse it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacs.dimse.own_certificate import warn_of_end
from tests.certificates import Authority

DAY = timedelta(days=1)


def told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ends_in: timedelta, begins_in: timedelta = -DAY
) -> list[str]:
    now = datetime.now(UTC)
    authority = Authority.create(tmp_path / "hospital")
    credentials = authority.issue("pacs", not_before=now + begins_in, not_after=now + ends_in)
    with caplog.at_level(logging.INFO):
        warn_of_end(credentials)
    assert all("pacs.pem" in message for message in caplog.messages)
    return caplog.messages


def test_one_that_counts_for_long_is_not_spoken_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert told(tmp_path, caplog, 31 * DAY) == []


def test_one_that_ends_within_a_month_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (message,) = told(tmp_path, caplog, 29 * DAY)
    assert f"expires at {datetime.now(UTC) + 29 * DAY:%Y-%m-%d}" in message


def test_one_that_has_expired_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (message,) = told(tmp_path, caplog, -DAY / 2)
    assert "certificate has expired" in message


def test_one_that_does_not_count_yet_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (message,) = told(tmp_path, caplog, 60 * DAY, DAY)
    assert "not yet valid" in message


def test_what_is_no_certificate_is_left_to_who_uses_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = Authority.create(tmp_path / "hospital").issue("pacs")
    credentials.certificate.write_text("nothing of the kind")
    warn_of_end(credentials)
    warn_of_end(credentials._replace(certificate=tmp_path / "nowhere"))
    assert caplog.messages == []
