"""The settings: ``FILMLESS_*`` variables, ``.env`` and ``filmless.toml``, in this order of precedence."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as UnparsableSettings

from pacs.codes.rules import CodeRule
from pacs.conflict_policy import ConflictPolicy
from pacs.dicom.ae_titles import parse_ae_title
from pacs.errors import InvalidRequest, SettingsError

PREFIX = "FILMLESS_"
TOML_FILE = "filmless.toml"
ENV_FILE = ".env"
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?", re.ASCII)
_NOT_SETTINGS = frozenset({"FILMLESS_REQUIRE_ALL"})  # of the test suite


class AuthMode(StrEnum):
    """How users of the HTTP door prove who they are."""

    OFF = "off"


class Settings(BaseSettings):
    """Everything that can be set. The description of a field is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Field(
        default=Path("filmless-data"),
        description="Folder of the embedded database and object store.",
    )
    database_url: str | None = Field(
        default=None,
        description="Index database, e.g. postgresql://user:password@host/filmless. "
        "Default: SQLite in DATA_DIR.",
    )
    store_url: str | None = Field(
        default=None,
        description="Object store: file:///folder or s3://bucket/prefix?endpoint_url=...&region=... "
        "(credentials by the usual AWS variables). Default: the folder DATA_DIR/objects.",
    )
    store_durable: bool = Field(
        default=False,
        description="The S3 service of STORE_URL loses in a power cut nothing that it acknowledged (AWS, "
        "Ceph with flushed OSDs): send to it at once, without a spool. For clusters of several nodes.",
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Folder on a disk of this machine where objects wait for S3. Default: DATA_DIR/spool.",
    )
    spool_quota_bytes: int = Field(
        default=100 * 1024**3,
        ge=0,
        description="Bytes in the spool at which nothing more is taken in (a sender is told to try later).",
    )
    spool_min_free_bytes: int = Field(
        default=2 * 1024**3,
        ge=0,
        description="Free bytes on the disk of the spool below which nothing more is taken in.",
    )
    spool_keep_hours: float = Field(
        default=24.0,
        ge=0,
        allow_inf_nan=False,
        description="Hours that an object stays in the spool after it was uploaded.",
    )
    spool_keep_at_least_hours: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="Hours that it stays at least, also when the spool is nearly full.",
    )
    upload_concurrency: int = Field(
        default=8, ge=1, le=64, description="Objects that a worker uploads to S3 at a time."
    )
    ae_title: str = Field(default="FILMLESS", description="AE title of this archive.")
    other_ae_titles: tuple[str, ...] = Field(
        default=(),
        description='Further AE titles under which devices may call this archive, as a list: ["OLD_PACS"].',
    )
    dicom_host: str = Field(default="127.0.0.1", description="Address on which modalities are heard.")
    dicom_port: int = Field(default=11112, ge=0, le=65535, description="TCP port of the DICOM door.")
    dicom_tls_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="TCP port of DICOM over TLS, beside DICOM_PORT; 2762 is the registered one. "
        "Default: none.",
    )
    dicom_tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with this archive's certificate for DICOM over TLS, and what lies between "
        "it and its authority. Read when a listener starts, as are the next two.",
    )
    dicom_tls_key: Path | None = Field(
        default=None, description="PEM file with its private key, without a passphrase."
    )
    dicom_tls_authorities: Path | None = Field(
        default=None,
        description="PEM file with the authorities whose certificates other devices must show; revocation "
        "lists may stand in it too.",
    )
    dicom_processes: int = Field(default=2, ge=1, le=64, description="Listener processes sharing the port.")
    http_host: str = Field(default="127.0.0.1", description="Address of the web server.")
    http_port: int = Field(default=8080, ge=0, le=65535, description="TCP port of the web server.")
    http_processes: int = Field(default=1, ge=1, le=64, description="Web processes sharing the port.")
    public_url: str | None = Field(
        default=None,
        description="Address that browsers and other hospitals use, e.g. https://pacs.example.vn, "
        "for links in answers. Default: http://HTTP_HOST:HTTP_PORT.",
    )
    metadata_after_s: float = Field(
        default=60.0,
        ge=1,
        allow_inf_nan=False,
        description="Seconds without a new instance after which the metadata of a series is kept ready, "
        "compressed, in the store.",
    )
    notify_after_s: float = Field(
        default=60.0,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Seconds without a new instance after which peers that want it are told that a study is "
        "here.",
    )
    decode_processes: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Processes in which one web server or worker decodes compressed images, at most. "
        "0: as many as there are processors.",
    )
    decode_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds that one compressed frame may take; a codec that takes longer is ended.",
    )
    decode_memory_bytes: int = Field(
        default=2 * 1024**3,
        ge=512 * 1024**2,
        description="Memory (address space) that each of these processes may take. Frames that need more are "
        "refused.",
    )
    picture_cache_bytes: int = Field(
        default=4 * 1024**3,
        ge=0,
        description="Bytes of pictures, and of decoded images, that are kept below DATA_DIR/pictures, "
        "about; 0: none. It may be emptied at any time.",
    )
    picture_memory_bytes: int = Field(
        default=128 * 1024**2,
        ge=0,
        description="Bytes of them that each web process keeps in memory.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Proxies in front of the web server, as a list of addresses or networks: "
        '["127.0.0.1"]. Where PUBLIC_URL is not set, links follow their X-Forwarded-Proto, -Host and -Prefix,'
        " which they must not take from clients. Those of anybody else have no effect.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Sites whose pages may use the web server from a browser, as a list: "
        '["https://viewer.example.vn"]. Exact, without a path; there is no wildcard.',
    )
    auth: AuthMode = Field(
        default=AuthMode.OFF,
        description="Logins. This version knows only 'off', which is allowed only on loopback addresses.",
    )
    lan_open: bool | None = Field(
        default=None,
        description="Let in devices that are not in the table of peers ('filmless peers'). Where DICOM_HOST "
        "is loopback, the default, they may do everything; elsewhere only with true, and then only store. "
        "Default: true where DICOM_HOST is loopback.",
    )
    allow_match_decisions: bool = Field(
        default=False,
        description="Let matches of studies and orders be decided over HTTP (PUT of /matches), not only by "
        "'filmless matches'.",
    )
    allow_peer_changes: bool = Field(
        default=False,
        description="Let peers and routes be changed over HTTP (PUT and DELETE of /peers and /routes), not "
        "only by 'filmless peers' and 'filmless routes'.",
    )
    worklist_own_station_only: bool = Field(
        default=False,
        description="A device sees of the worklist only what is scheduled for its own AE title, the one that "
        "it calls with, or for no station in particular, whatever it asks for.",
    )
    max_retrieved_instances: int = Field(
        default=50_000,
        ge=1,
        description="Instances that one C-GET or C-MOVE may ask for; more are refused (A702).",
    )
    max_retrieved_bytes: int = Field(
        default=200 * 10**9,
        ge=1,
        description="What they may have together; more are refused (A702).",
    )
    max_retrievals_per_peer: int = Field(
        default=8,
        ge=1,
        description="C-GETs and C-MOVEs that one listener process performs for one AE title at a time.",
    )
    move_associations: int = Field(
        default=1,
        ge=1,
        le=8,
        description="Associations at a time over which the instances of one C-MOVE are sent.",
    )
    send_concurrency: int = Field(
        default=4, ge=1, le=64, description="Studies that a worker sends to peers at a time."
    )
    accept_unknown_sop_classes: bool = Field(
        default=True, description="Also store SOP classes that this version does not know."
    )
    undeclared_character_set: str = Field(
        default="windows-1258",
        description="How to read names with bytes above 127 from devices that declare no character set "
        "and do not send UTF-8: a Python codec name.",
    )
    max_object_size_bytes: int = Field(
        default=16 * 1024**3, ge=1024**2, description="Largest object that is taken in."
    )
    on_conflict: ConflictPolicy = Field(
        default=ConflictPolicy.KEEP,
        description="What to do when other content comes under a known SOP Instance UID: keep (the first "
        "stays what readers get, the sender is warned), replace (the new one is, where study and patient are "
        "the same) or refuse (the sender is told that it failed). Both stay in the store, and 'filmless "
        "conflicts' lists and settles them.",
    )
    allow_delete: bool = Field(
        default=False,
        description="Let studies, series and instances be deleted over DICOMweb (DELETE). Each deletion is "
        "written into the ledger and cannot be undone.",
    )
    delete_keep_hours: float = Field(
        default=24.0,
        ge=0,
        allow_inf_nan=False,
        description="Hours that the files of what was deleted stay in the store.",
    )
    accept_deleted_again: bool = Field(
        default=True,
        description="Take in what was deleted when it is sent again, as a corrected study is; false refuses "
        "it, for a router that keeps sending.",
    )
    max_associations: int = Field(
        default=200, ge=1, description="Associations that one listener process serves at a time."
    )
    max_associations_per_peer: int = Field(
        default=100,
        ge=1,
        description="Of these, associations with one network address. A router that forwards for many "
        "devices may need more.",
    )
    max_unassociated: int = Field(
        default=256,
        ge=1,
        description="Connections of one listener process that have not asked for an association yet; above "
        "it the oldest of the address that has most of them is dropped.",
    )
    associate_timeout_s: float = Field(
        default=10.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds in which a new connection has to ask for its association.",
    )
    network_timeout_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds without a byte after which an association is dropped.",
    )
    pdu_timeout_s: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that are waited for the rest of a PDU that has begun to come.",
    )
    max_pdu_length: int = Field(
        default=128 * 1024,
        ge=16 * 1024,
        le=1024**2,
        description="Longest PDU that devices may send, in bytes; it is announced to them.",
    )
    max_command_size_bytes: int = Field(
        default=64 * 1024, ge=1024, le=1024**2, description="Largest DIMSE command set that is taken in."
    )
    ohif_tarball_url: str | None = Field(
        default=None,
        description="Where 'filmless ohif install' fetches the package @ohif/app, unless it is given a file. "
        "Any address does: what it sends must be the package that npm publishes, to the bit.",
    )
    code_rules: tuple[CodeRule, ...] = Field(
        default=(),
        description="Site rules that give a study a national code: a list of {code, modality, station, "
        "description}, as [[code_rules]] tables in filmless.toml.",
    )

    @field_validator("ae_title")
    @classmethod
    def _valid_ae_title(cls, value: str) -> str:
        return _ae_title(value)

    @field_validator("other_ae_titles")
    @classmethod
    def _valid_ae_titles(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_ae_title(value) for value in values)

    @field_validator("data_dir", "spool_dir")
    @classmethod
    def _named_folder(cls, value: Path | None) -> Path | None:
        if value == Path():
            raise ValueError("give the name of a folder")
        return value and value.expanduser()

    @field_validator("undeclared_character_set")
    @classmethod
    def _known_codec(cls, value: str) -> str:
        try:
            b"A".decode(value)
        except LookupError as error:
            raise ValueError("not a character set that Python knows") from error
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy)  # its ValueError says what is wrong
        return proxies

    @field_validator("cors_origins")
    @classmethod
    def _plain_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """RFC 6454 6.1: scheme, host in lower case, and a port where it is not the scheme's own."""
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError('an origin is like "https://viewer.example.vn": no path, no slash, no wildcard')
        return origins

    @model_validator(mode="after")
    def _no_open_door(self) -> Settings:
        if self.auth is AuthMode.OFF and not is_loopback(self.http_host):
            raise ValueError(
                f"HTTP_HOST={self.http_host} can be reached by others, and AUTH=off would show them every "
                "patient. Keep HTTP_HOST=127.0.0.1 (this version has no logins yet)"
            )
        return self

    @property
    def ae_titles(self) -> frozenset[str]:
        """All AE titles under which devices may call."""
        return frozenset((self.ae_title, *self.other_ae_titles))

    @property
    def resolved_lan_open(self) -> bool:
        """Whether devices are let in that are not in the table of peers, with the default filled in."""
        return is_loopback(self.dicom_host) if self.lan_open is None else self.lan_open

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{quote(str(self.data_dir.resolve() / 'index.sqlite'))}"

    @property
    def resolved_store_url(self) -> str:
        """The object store URL, with the embedded default filled in."""
        return self.store_url or (self.data_dir.resolve() / "objects").as_uri()

    @property
    def resolved_spool_dir(self) -> Path:
        """The folder of the spool, with the default filled in."""
        return (self.spool_dir or self.data_dir / "spool").resolve()

    @property
    def resolved_public_url(self) -> str:
        """The address of the web server as others see it, without a slash at the end."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return (self.public_url or f"http://{host}:{self.http_port}").rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment before ``.env`` before ``filmless.toml``."""
        toml_settings = InitSettingsSource(settings_cls, init_kwargs=_read_toml())
        return init_settings, env_settings, dotenv_settings, toml_settings


@dataclass(frozen=True, slots=True)
class SettingReport:
    """One setting as ``filmless settings`` shows it: secrets are masked already."""

    variable: str
    value: str
    source: str
    description: str


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ae_title(value: str) -> str:
    try:
        return parse_ae_title(value)
    except InvalidRequest as error:
        raise ValueError(str(error)) from error


def load_settings() -> Settings:
    """Read the settings from the environment and from the files of the current folder.

    Raises
    ------
    SettingsError
        A name is unknown (the nearest known one is told) or a value is wrong.
    """
    for source, names in _names_by_source().items():
        for name in names - KNOWN_VARIABLES:
            raise SettingsError(_unknown(name, source))
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(one) for one in error.errors(include_input=False))) from error
    except UnparsableSettings as error:
        raise SettingsError(f"{error}; its value is not JSON") from error


def report_settings(settings: Settings) -> list[SettingReport]:
    """List every setting with its value in force and where it comes from."""
    by_source = _names_by_source()
    reports = []
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        source = next((source for source, names in by_source.items() if variable in names), "default")
        value = _IN_FORCE.get(name, name)
        shown = mask_password(str(getattr(settings, value)))
        reports.append(SettingReport(variable, shown, source, field.description or ""))
    return reports


def mask_password(url: str) -> str:
    """Hide the password of a URL."""
    url = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret)[^=&]*)=[^&]*", r"\1=***", url)


_IN_FORCE = {
    "lan_open": "resolved_lan_open",
    "database_url": "resolved_database_url",
    "store_url": "resolved_store_url",
    "public_url": "resolved_public_url",
    "spool_dir": "resolved_spool_dir",
}
KNOWN_VARIABLES = frozenset(PREFIX + name.upper() for name in Settings.model_fields)


def _names_by_source() -> dict[str, set[str]]:
    """Names that each source sets, as variables; the sources in order of precedence."""
    return {
        "environment": {name.upper() for name in os.environ if _is_ours(name)},
        ENV_FILE: {name.upper() for name in _read_env_file() if _is_ours(name)},
        TOML_FILE: {PREFIX + name.upper() for name in _read_toml()},
    }


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX) and name.upper() not in _NOT_SETTINGS


def _read_env_file() -> Mapping[str, str | None]:
    try:
        return dotenv_values(ENV_FILE, encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{ENV_FILE} cannot be read: {error}") from error


def _read_toml() -> dict[str, object]:
    path = Path(TOML_FILE)
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Notepad begins with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{TOML_FILE} cannot be read: {error}") from error


def _unknown(variable: str, source: str) -> str:
    nearest = difflib.get_close_matches(variable, sorted(KNOWN_VARIABLES), n=1, cutoff=0.0)[0]
    name = variable.removeprefix(PREFIX).lower() if source == TOML_FILE else variable
    meant = nearest.removeprefix(PREFIX).lower() if source == TOML_FILE else nearest
    return f"{name} (in {source}) is not a setting; did you mean {meant}? 'filmless settings' lists them all"


def _explain(error: ErrorDetails) -> str:
    name = ".".join(str(part) for part in error["loc"])
    variable = PREFIX + name.upper() if name else "settings"
    return f"{variable}: {error['msg'].removeprefix('Value error, ')}"
