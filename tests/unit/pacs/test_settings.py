from __future__ import annotations

from pathlib import Path

import pytest

from pacs.errors import SettingsError
from pacs.index.index import open_index
from pacs.settings import KNOWN_VARIABLES, Settings, load_settings, mask_password, report_settings


@pytest.fixture(autouse=True)
def empty_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in KNOWN_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_defaults_are_embedded_and_on_loopback(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/filmless-data/index.sqlite"
    assert settings.resolved_store_url == f"file://{tmp_path}/filmless-data/objects"
    assert settings.resolved_public_url == "http://127.0.0.1:8080"
    assert settings.ae_title == "FILMLESS"


def test_the_environment_beats_dotenv_which_beats_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filmless.toml").write_text('ae_title = "TOML"\nhttp_port = 1\ndicom_port = 1\n')
    (tmp_path / ".env").write_text("FILMLESS_HTTP_PORT=2\nFILMLESS_DICOM_PORT=2\nOTHER=1\n")
    monkeypatch.setenv("FILMLESS_DICOM_PORT", "3")
    settings = load_settings()
    assert (settings.ae_title, settings.http_port, settings.dicom_port) == ("TOML", 2, 3)
    sources = {report.variable: report.source for report in report_settings(settings)}
    assert sources["FILMLESS_AE_TITLE"] == "filmless.toml"
    assert sources["FILMLESS_HTTP_PORT"] == ".env"
    assert sources["FILMLESS_DICOM_PORT"] == "environment"
    assert sources["FILMLESS_DATA_DIR"] == "default"


@pytest.mark.parametrize("place", ["environment", ".env", "filmless.toml"])
def test_an_unknown_name_is_an_error_that_tells_the_nearest_one(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv("FILMLESS_DICOM_PROT", "104")
    elif place == ".env":
        (tmp_path / place).write_text("FILMLESS_DICOM_PROT=104\n")
    else:
        (tmp_path / place).write_text("dicom_prot = 104\n")
    with pytest.raises(SettingsError, match=f"(?i)dicom_prot.*{place}.*did you mean.*dicom_port"):
        load_settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "pacs.example.vn"])
def test_a_public_web_address_without_logins_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILMLESS_HTTP_HOST", host)
    with pytest.raises(SettingsError, match=r"HTTP_HOST=.*every patient"):
        load_settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "localhost"])
def test_loopback_addresses_need_no_logins(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILMLESS_HTTP_HOST", host)
    assert load_settings().http_host == host


@pytest.mark.parametrize(
    ("host", "lan_open", "strangers"),
    [
        ("127.0.0.1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("192.168.1.5", None, False),
        ("0.0.0.0", "true", True),
        ("127.0.0.1", "false", False),
    ],
)
def test_strangers_are_let_in_on_loopback_only_unless_it_is_said(
    host: str, lan_open: str | None, strangers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMLESS_DICOM_HOST", host)
    if lan_open is not None:
        monkeypatch.setenv("FILMLESS_LAN_OPEN", lan_open)
    assert load_settings().resolved_lan_open is strangers


def test_there_may_be_several_called_ae_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILMLESS_OTHER_AE_TITLES", '["OLD_PACS", "RIS "]')
    assert load_settings().ae_titles == {"FILMLESS", "OLD_PACS", "RIS"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AE_TITLE", "SEVENTEEN_LETTERS"),
        ("AE_TITLE", ""),
        ("AE_TITLE", "BACK\\SLASH"),
        ("OTHER_AE_TITLES", '["SEVENTEEN_LETTERS"]'),
        ("DICOM_PORT", "http"),
        ("DICOM_PORT", "65536"),
        ("AUTH", "oidc"),
        ("UNDECLARED_CHARACTER_SET", "klingon"),
        ("CODE_RULES", '[{"code": "18.0119.0028"}]'),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FILMLESS_{variable}", value)
    with pytest.raises(SettingsError, match=f"FILMLESS_{variable}"):
        load_settings()


def test_a_damaged_toml_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "filmless.toml").write_text("ae_title = \n")
    with pytest.raises(SettingsError, match=r"filmless\.toml"):
        load_settings()


def test_site_rules_come_from_toml(tmp_path: Path) -> None:
    (tmp_path / "filmless.toml").write_text(
        '[[code_rules]]\ncode = "18.0119.0028"\nmodality = "DX"\ndescription = "*ngực*"\n', encoding="utf-8"
    )
    assert load_settings().code_rules[0].description == "*ngực*"


def test_passwords_are_masked_in_reports() -> None:
    settings = Settings(database_url="postgresql://filmless:s3cr3t%40@db/filmless")
    shown = {report.variable: report.value for report in report_settings(settings)}
    assert shown["FILMLESS_DATABASE_URL"] == "postgresql://filmless:***@db/filmless"
    assert mask_password("file:///folder") == "file:///folder"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:SEC@RET@h/d", "postgresql://u:***@h/d"),
        ("postgresql://h/d?user=u&password=SECRET&x=1", "postgresql://h/d?user=u&password=***&x=1"),
    ],
)
def test_a_password_is_masked_wherever_it_stands(url: str, shown: str) -> None:
    assert mask_password(url) == shown


@pytest.mark.parametrize("folder", ["q?x", "p%20x", "a#b", "kho ảnh", "semi;colon"])
def test_any_folder_may_hold_the_index(folder: str, tmp_path: Path) -> None:
    index = open_index(Settings(data_dir=tmp_path / folder).resolved_database_url)
    (tmp_path / folder).mkdir()
    index.migrate()
    assert (tmp_path / folder / "index.sqlite").is_file()


def test_files_of_windows_editors_are_read(tmp_path: Path) -> None:
    (tmp_path / "filmless.toml").write_text('ae_title = "TOML"\n', encoding="utf-8-sig")
    (tmp_path / ".env").write_text("FILMLESS_HTTP_PORT=2\n", encoding="utf-8-sig")
    assert (load_settings().ae_title, load_settings().http_port) == ("TOML", 2)


@pytest.mark.parametrize("name", [".env", "filmless.toml"])
def test_a_file_of_another_encoding_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes("FILMLESS_AE_TITLE=Đ".encode("utf-16"))
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
