"""What the sender's ledger says, held against what the archive shows to the outside: QIDO-RS and WADO-RS."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from tests.soak.modality import Ledger

_PAGE = 100
_FILE_META_GROUP_LENGTH_AT, _FILE_META_AT = 140, 144  # its value, and what it counts from (PS3.10 7.1)


@dataclass(slots=True)
class Verdict:
    """The counts of a soak. All but the first two must be zero."""

    acknowledged: int = 0
    visible: int = 0
    lost: int = 0  # acknowledged, and not to be found, or not with these bytes
    half_visible: int = 0  # found, with other bytes than were sent, whether acknowledged or not
    rows_without_bytes: int = 0  # found, and nothing comes
    wrong_counts: int = 0  # studies whose number of instances is not that of the instances found

    def require_clean(self) -> None:
        """Fail unless everything acknowledged is there and nothing is there by halves."""
        assert self.acknowledged, "nothing was sent, and nothing is proved"
        faults = {
            name: count for name, count in self.counts.items() if name not in ("acknowledged", "visible")
        }
        assert not any(faults.values()), self.counts

    @property
    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def judge(http_url: str, ledger: Ledger) -> Verdict:
    """Look up and fetch everything that the archive shows, and compare it with a ledger."""
    verdict = Verdict(acknowledged=sum(entry.is_acknowledged for entry in ledger.values()))
    found: Counter[str] = Counter()
    with httpx.Client(base_url=f"{http_url}/dicom-web", timeout=60) as client:
        for study_instance_uid in [_value(row, "0020000D") for row in _pages(client, "/studies")]:
            count, rows = _count_and_instances(client, study_instance_uid)
            verdict.wrong_counts += count != len(rows)
            for row in rows:
                sop_instance_uid = _value(row, "00080018")
                outcome = _fetch(client, study_instance_uid, row, ledger)
                found[sop_instance_uid] += outcome == "whole"
                verdict.visible += 1
                verdict.half_visible += outcome == "other bytes"
                verdict.rows_without_bytes += outcome == "nothing"
    verdict.lost = sum(found[uid] != 1 for uid, entry in ledger.items() if entry.is_acknowledged)
    return verdict


def _count_and_instances(client: httpx.Client, study_instance_uid: str) -> tuple[int, list[dict[str, Any]]]:
    """Read both as of one moment: the worker may just be adopting what a crash left out of the index."""
    count = _count(client, study_instance_uid)
    while True:
        before, rows = count, list(_pages(client, f"/studies/{study_instance_uid}/instances"))
        count = _count(client, study_instance_uid)
        if count == before:
            return count, rows


def _count(client: httpx.Client, study_instance_uid: str) -> int:
    [row] = _pages(client, "/studies", StudyInstanceUID=study_instance_uid)
    return int(_value(row, "00201208"))


def _pages(client: httpx.Client, path: str, **keys: str) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        answer = client.get(path, params={**keys, "limit": _PAGE, "offset": offset})
        answer.raise_for_status()
        rows = answer.json() if answer.status_code == httpx.codes.OK else []
        yield from rows
        if len(rows) < _PAGE:
            return
        offset += _PAGE


def _fetch(client: httpx.Client, study_instance_uid: str, row: dict[str, Any], ledger: Ledger) -> str:
    sop_instance_uid = _value(row, "00080018")
    path = f"/studies/{study_instance_uid}/series/{_value(row, '0020000E')}/instances/{sop_instance_uid}"
    try:
        answer = client.get(path, headers={"Accept": "application/dicom"})
    except httpx.HTTPError:
        return "nothing"
    if answer.status_code != httpx.codes.OK:
        return "nothing"
    file = answer.content
    meta_size = int.from_bytes(file[_FILE_META_GROUP_LENGTH_AT:_FILE_META_AT], "little")
    sha256 = hashlib.sha256(file[_FILE_META_AT + meta_size :]).hexdigest()
    entry = ledger.get(sop_instance_uid)
    return "whole" if entry is not None and entry.sha256 == sha256 else "other bytes"


def _value(row: dict[str, Any], tag: str) -> str:
    return str(row[tag]["Value"][0])
