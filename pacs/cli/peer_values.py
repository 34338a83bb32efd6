"""Values of peers, as they are typed on the command line."""

from __future__ import annotations

import re
from typing import Any

import typer

# ruff: noqa: PLC0415 - as in pacs.cli.processes


def read_size(text: str) -> int:
    """Read a number of bytes in a second."""
    found = re.fullmatch(r"(\d{1,12})\s*(k|M|G)?B?(?:/s)?", text, re.ASCII)
    if found is None:
        raise typer.BadParameter("a limit is like 500kB, 2MB, or a number of bytes in a second")
    return int(found[1]) * {None: 1, "k": 10**3, "M": 10**6, "G": 10**9}[found[2]]


def read_certificate(text: str) -> str:
    """Read a fingerprint, or take that of the first certificate in a file."""
    import hashlib
    import ssl
    from pathlib import Path

    if len(digits := text.replace(":", "").lower()) == 64 and set(digits) <= set("0123456789abcdef"):
        return digits
    try:
        pem = Path(text).read_text(encoding="ascii")
    except OSError as error:
        raise typer.BadParameter(f"--certificate is a PEM file, a SHA-256, or -: {error}") from None
    except ValueError:
        pem = ""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        first = pem[pem.index(begin) : pem.index(end) + len(end)]
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
    except ValueError:
        raise typer.BadParameter(f"{text} has no certificate in PEM form") from None


def read_address(text: str) -> tuple[str | None, int | None]:
    """Read a host with its port, or without: a port is asked for where it is needed."""
    if text == "-":
        return None, None
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]") or (":" in host and not host.endswith("]")):  # the colons of IPv6
        return text.strip("[]"), None
    if not port.isdecimal():
        raise typer.BadParameter("give the address as HOST:PORT, e.g. 192.168.1.20:104")
    return host.strip("[]"), int(port)


def read_rights(text: str) -> frozenset[Any]:
    """Read a list of rights, or all, or none."""
    from pacs.index.known_peers import PeerRight

    if text in ("all", "none"):
        return frozenset(PeerRight) if text == "all" else frozenset()
    try:
        return frozenset(PeerRight(one.lower()) for one in read_list(text))
    except ValueError:
        known = ",".join(PeerRight)
        raise typer.BadParameter(f"--may is a list of {known}, or all, or none") from None


def read_list(text: str) -> list[str]:
    """Read a list with commas; what is empty in it is left out."""
    return [one.strip() for one in text.split(",") if one.strip()]
