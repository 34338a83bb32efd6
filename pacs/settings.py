"""The settings: ``FILMLESS_*`` variables, ``.env`` and ``filmless.toml``, in this order of precedence."""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pacs.codes.rules import CodeRule
from pacs.errors import SettingsError

PREFIX = "FILMLESS_"
TOML_FILE = "filmless.toml"
ENV_FILE = ".env"


class AuthMode(StrEnum):
    """How users of the HTTP door prove who they are."""

    OFF = "off"


class Settings(BaseSettings):
    """Everything that can be set. The description of a field is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_file_encoding="utf-8", toml_file=TOML_FILE,
        extra="ignore", frozen=True,
    )  # fmt: skip

    data_dir: Path = Field(
        default=Path("filmless-data"),
        description="Folder of the embedded database and object store. Relative to the folder of the command.",
    )
    database_url: str | None = Field(
        default=None,
        description="Index database, e.g. postgresql://user:password@host/filmless. Default: SQLite in DATA_DIR.",
    )
    store_url: str | None = Field(
        default=None,
        description="Object store: file:///folder or s3://bucket/prefix?endpoint_url=...&region=... "
        "(credentials by the usual AWS variables). Default: the folder DATA_DIR/objects.",
    )
    ae_title: str = Field(default="FILMLESS", description="AE title of this archive.")
    dicom_host: str = Field(default="127.0.0.1", description="Address on which modalities are heard.")
    dicom_port: int = Field(default=11112, ge=0, le=65535, description="TCP port of the DICOM door.")
    dicom_processes: int = Field(default=1, ge=1, le=64, description="Listener processes sharing the port.")
    http_host: str = Field(default="127.0.0.1", description="Address of the web server.")
    http_port: int = Field(default=8080, ge=0, le=65535, description="TCP port of the web server.")
    http_processes: int = Field(default=1, ge=1, le=64, description="Web processes sharing the port.")
    public_url: str | None = Field(
        default=None,
        description="Address that browsers and other hospitals use, e.g. https://pacs.example.vn, for links in "
        "answers. Default: http://HTTP_HOST:HTTP_PORT.",
    )
    auth: AuthMode = Field(
        default=AuthMode.OFF,
        description="Logins. This version knows only 'off', which is allowed only on loopback addresses.",
    )
    lan_open: bool = Field(
        default=False,
        description="Let any device that reaches the DICOM port store, when DICOM_HOST is not loopback. The DICOM "
        "door only takes in; nothing can be read through it.",
    )
    accept_unknown_sop_classes: bool = Field(
        default=True, description="Also store SOP classes that this version does not know."
    )
    undeclared_character_set: str = Field(
        default="windows-1258",
        description="How to read names with bytes above 127 from devices that declare no character set and do not "
        "send UTF-8: a Python codec name.",
    )
    max_object_size_bytes: int = Field(
        default=16 * 1024**3, ge=1024**2, description="Largest object that is taken in."
    )
    max_associations: int = Field(
        default=200, ge=1, description="Associations that one listener process serves at a time."
    )
    network_timeout_s: float = Field(
        default=60.0, gt=0, description="Seconds without a byte after which an association is dropped."
    )
    code_rules: tuple[CodeRule, ...] = Field(
        default=(),
        description="Site rules that give a study a national code: a list of {code, modality, station, description}, "
        "as [[code_rules]] tables in filmless.toml.",
    )

    @field_validator("ae_title")
    @classmethod
    def _valid_ae_title(cls, value: str) -> str:
        """PS3.5 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash or control."""
        if not 1 <= len(value.strip()) <= 16 or not value.isascii() or not value.isprintable() or "\\" in value:
            raise ValueError("an AE title has 1 to 16 plain characters and no backslash (PS3.5 6.2)")
        return value.strip()

    @field_validator("undeclared_character_set")
    @classmethod
    def _known_codec(cls, value: str) -> str:
        try:
            b"".decode(value)
        except LookupError as error:
            raise ValueError("not a character set that Python knows") from error
        return value

    @model_validator(mode="after")
    def _no_open_door(self) -> Settings:
        if self.auth is AuthMode.OFF and not is_loopback(self.http_host):
            raise ValueError(
                f"HTTP_HOST={self.http_host} can be reached by others, and AUTH=off would show them every patient. "
                "Keep HTTP_HOST=127.0.0.1 (this version has no logins yet)"
            )
        if self.auth is AuthMode.OFF and not is_loopback(self.dicom_host) and not self.lan_open:
            raise ValueError(
                f"DICOM_HOST={self.dicom_host} can be reached by others, and with AUTH=off any device could store. "
                "Keep DICOM_HOST=127.0.0.1, or set LAN_OPEN=true if your network is closed to strangers"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the command line first, then the environment, ``.env`` and ``filmless.toml``."""
        from pydantic_settings import TomlConfigSettingsSource  # noqa: PLC0415

        return (init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls))
