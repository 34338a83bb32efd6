from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pacs.cli.ohif import app


def test_without_a_package_or_an_address_it_is_told_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["install"], env={"FILMLESS_DATA_DIR": str(tmp_path / "data")})
    assert told.exit_code == 2
    assert "npm pack" in told.output
    assert "FILMLESS_OHIF_TARBALL_URL" in told.output
    assert not (tmp_path / "data" / "ohif").exists()
