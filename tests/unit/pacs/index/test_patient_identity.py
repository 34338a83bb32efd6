from __future__ import annotations

import pytest

from pacs.index.patient_identity import PATIENT_COLUMNS, differing_identity, identity_digest

NOBODY = dict.fromkeys(PATIENT_COLUMNS)


@pytest.mark.parametrize(
    ("study", "instance", "differing"),
    [
        ({}, {}, []),
        ({"patient_id": "1"}, {"patient_id": "1", "patient_name": "other"}, []),
        ({"patient_id": "1", "patient_name": "A"}, {"patient_id": "1", "patient_name": "B"}, []),
        ({"patient_id": "1"}, {"patient_id": "2"}, ["patient id"]),
        ({"patient_id": " 1"}, {"patient_id": "1 "}, []),
        (
            {"patient_id": "1", "issuer_of_patient_id": "A"},
            {"patient_id": "1", "issuer_of_patient_id": "B"},
            ["issuer of patient id"],
        ),
        ({"patient_id": "1", "issuer_of_patient_id": "A"}, {"patient_id": "1"}, []),
        ({"patient_name": "Trần^A"}, {"patient_name": "TRAN A"}, []),
        ({"patient_name": "Trần^A"}, {"patient_name": "Lê^B"}, ["patient name"]),
        ({"patient_name": "Trần^A", "patient_birth_date": "19700101"}, {"patient_name": "Trần^A"}, []),
        (
            {"patient_name": "A", "patient_birth_date": "19700101"},
            {"patient_name": "B", "patient_birth_date": "19710101"},
            ["patient name", "patient birth date"],
        ),
        ({"patient_id": "1", "patient_name": "A"}, {"patient_name": "B"}, ["patient name"]),
        ({"patient_name": "A"}, {"patient_id": "1", "patient_name": "A"}, []),
        ({"patient_id": "1"}, {}, []),
    ],
)
def test_an_instance_is_of_another_patient_where_something_contradicts(
    study: dict[str, str], instance: dict[str, str], differing: list[str]
) -> None:
    assert differing_identity({**NOBODY, **study}, instance) == differing


def test_a_digest_tells_patients_apart_and_names_none() -> None:
    one = identity_digest({"patient_id": "BN1", "patient_name": "A"})
    assert one == identity_digest({"patient_id": "BN1", "patient_name": "B"})
    assert one != identity_digest({"patient_id": "BN2", "patient_name": "A"})
    assert identity_digest({"patient_name": "Trần^A"}) == identity_digest({"patient_name": "TRAN A"})
    assert "BN1" not in one
