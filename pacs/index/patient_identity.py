"""Whether an instance is of the patient that its study is of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from pacs.index.names import fold_name

PATIENT_COLUMNS: Final = (
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
)
_BY_ID: Final = ("patient_id", "issuer_of_patient_id")
_BY_PERSON: Final = ("patient_name", "patient_birth_date")


def differing_identity(of_study: Mapping[str, Any], of_instance: Mapping[str, Any]) -> list[str]:
    """Name what shows that an instance is of another patient; empty where nothing does.

    Patient IDs decide, with their issuers, where both have one; else name and birth date. What one of the
    two does not say contradicts nothing.
    """
    columns = _BY_ID if of_study["patient_id"] and of_instance.get("patient_id") else _BY_PERSON
    return [
        column.replace("_", " ")
        for column in columns
        if (known := _comparable(column, of_study[column]))
        and (said := _comparable(column, of_instance.get(column)))
        and known != said
    ]


def identity_digest(values: Mapping[str, Any]) -> str:
    """Tell one patient from another without naming either."""
    columns = _BY_ID if values.get("patient_id") else _BY_PERSON
    identity = [(column, _comparable(column, values.get(column))) for column in columns]
    return hashlib.sha256(orjson.dumps(identity)).hexdigest()[:16]


def _comparable(column: str, value: Any) -> str:
    return fold_name(value or "") if column == "patient_name" else (value or "").strip()
