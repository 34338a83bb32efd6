"""What the tests of the modules have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tests.data import PROJECT

WEB = PROJECT / "viewer_api" / "web"
Evaluate: TypeAlias = Callable[..., Any]


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    """An attribute of the DICOM JSON model."""
    return {"vr": vr, "Value": list(values)}
