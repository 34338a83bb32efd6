"""A store from its URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from storage.errors import InvalidKey, InvalidStoreUrl
from storage.filesystem import FilesystemStore
from storage.keys import check_key
from storage.memory import MemoryStore
from storage.store import ObjectStore

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MAX_PREFIX_LENGTH = 100  # with the longest key within the 1024 characters of S3
_S3_PARAMETERS = ("endpoint_url", "region", "create_bucket")
_NO_CREDENTIALS = (
    "a store URL carries no credentials, as URLs end up in logs; "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
)


def open_store(url: str, *, make: bool = True) -> ObjectStore:
    """Open the store that ``url`` names.

    ``file:///folder``
        An absolute path, percent-encoded where need be (``%20``). There is no relative form: processes
        started in different folders would open different stores.
    ``s3://bucket/prefix?endpoint_url=http://host:port&region=name&create_bucket=true``
        The prefix and every parameter may be left out; the bucket must exist unless ``create_bucket=true``.
    ``memory://``
        A new, empty store in memory.

    With ``make=False`` no folder is made and no server is asked for anything: it may be away now, and come
    back.

    Raises
    ------
    InvalidStoreUrl
        The message tells what is wrong, and never repeats what may be a secret.
    StoreFull, StoreUnavailable
        The folder cannot be made; the server does not answer, refuses us, or has no such bucket.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidStoreUrl("the store URL cannot be read") from error
    openers: dict[str, Callable[[SplitResult], ObjectStore]] = {
        "file": partial(_open_filesystem, make=make),
        "s3": partial(_open_s3, reach=make),
        "memory": _open_memory,
    }
    opener = openers.get(parts.scheme)
    if opener is None:
        raise InvalidStoreUrl(
            f"a store URL starts with file:///, s3:// or memory://, and not with {parts.scheme[:20]!r}"
        )
    if "@" in parts.netloc:
        raise InvalidStoreUrl(_NO_CREDENTIALS)
    if parts.fragment or url.endswith("#"):
        raise InvalidStoreUrl("a store URL has no '#'; write %23 for one that is part of a name")
    return opener(parts)


def _open_filesystem(parts: SplitResult, make: bool) -> ObjectStore:
    _parameters(parts, ())
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise InvalidStoreUrl("a file URL has three slashes and an absolute path: file:///srv/objects")
    if "\0" in path or not path.strip("/."):
        raise InvalidStoreUrl("a file URL names a folder: file:///srv/objects")
    return FilesystemStore(path, make=make)


def _open_memory(parts: SplitResult) -> ObjectStore:
    _parameters(parts, ())
    if parts.netloc or parts.path:
        raise InvalidStoreUrl("memory:// stands alone")
    return MemoryStore()


def _open_s3(parts: SplitResult, reach: bool) -> ObjectStore:
    # Here, as boto3 takes a third of a second that a store of files need not wait for.
    from storage.s3 import S3Store  # noqa: PLC0415

    parameters = _parameters(parts, _S3_PARAMETERS)
    create_bucket = parameters.get("create_bucket", "false")
    if _BUCKET.fullmatch(parts.netloc) is None:
        raise InvalidStoreUrl(
            "an S3 URL names a bucket of 3 to 63 small letters, digits, '.' and '-': s3://bucket"
        )
    if create_bucket not in ("true", "false"):
        raise InvalidStoreUrl("create_bucket is true or false")
    store = S3Store(
        parts.netloc,
        _s3_prefix(parts.path),
        endpoint_url=_endpoint_url(parameters.get("endpoint_url")),
        region=parameters.get("region"),
        create_bucket=create_bucket == "true",
    )
    if reach:
        store.ensure_bucket()
    return store


def _s3_prefix(path: str) -> str:
    prefix = unquote(path).strip("/")
    try:
        if prefix:
            check_key(prefix)
    except InvalidKey as error:
        raise InvalidStoreUrl("the prefix of an S3 URL has only letters, digits and . _ - /") from error
    if len(prefix) > _MAX_PREFIX_LENGTH:
        raise InvalidStoreUrl(f"the prefix of an S3 URL has {_MAX_PREFIX_LENGTH} characters at most")
    return prefix


def _endpoint_url(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidStoreUrl("endpoint_url is an address as http://host:port")
    if "@" in parts.netloc:
        raise InvalidStoreUrl(_NO_CREDENTIALS)
    return text


def _parameters(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise InvalidStoreUrl("a parameter of the store URL is given twice")
    for name, value in parameters.items():
        if re.search("key|secret|token|password|credential|profile", name, re.IGNORECASE):
            raise InvalidStoreUrl(_NO_CREDENTIALS)
        if name not in known:
            choice = ", ".join(known) or "none"
            raise InvalidStoreUrl(f"unknown parameter {name[:40]!r} in the store URL; known are: {choice}")
        if not value:
            raise InvalidStoreUrl(f"the parameter {name} of the store URL is empty")
    return parameters
