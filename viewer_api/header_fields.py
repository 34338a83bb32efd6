"""Header fields of a request as they lie: the framework's mapping takes several times as long for each."""

from __future__ import annotations

from starlette.types import Scope


def header_field(scope: Scope, name: bytes) -> str | None:
    """Return the first field of a name, which is in lower case; None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: str = value.decode("latin-1")
            return found
    return None
