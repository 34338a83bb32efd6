"""Another archive that is asked by QIDO-RS, and gives by WADO-RS (PS3.18 10.4, 10.6)."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from pacs.dicom.order_matching import StudyFacts
from pacs.dicom.uids import parse_uid
from pacs.dicomweb.connection import WebConnection
from pacs.dicomweb.parts import read_first_part
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.errors import InvalidUid
from pacs.ingest import open_part10
from pacs.jobs.fetching.wanted import ENDS, MOST_INSTANCES, Receiver, RemoteInstance, Wanted

_JSON: Final = "application/dicom+json"
_AS_STORED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PAGE: Final = 1000
_MOST_STUDIES: Final = 10_000
_STUDY, _SERIES, _SOP_INSTANCE, _SOP_CLASS = "0020000D", "0020000E", "00080018", "00080016"


class WebSource:
    """The DICOMweb service of a peer."""

    def __init__(self, connection: WebConnection) -> None:
        self._connection = connection

    def find_studies(self, wanted: Wanted) -> list[StudyFacts]:
        """List the studies that are wanted. Raises PeerUnreachable, PeerRejected."""
        keys = {
            "StudyInstanceUID": wanted.study_instance_uid,
            "PatientID": wanted.patient_id,
            "AccessionNumber": wanted.accession_number,
            "includefield": "IssuerOfPatientID",  # the other facts come unasked (PS3.18 Table 10.6.3-3)
        }
        asked = {name: value for name, value in keys.items() if value}
        found = map(_facts, self._search("/studies", asked, _MOST_STUDIES))
        return list({study.study_instance_uid: study for study in found}.values())

    def list_instances(self, study_instance_uid: str) -> list[RemoteInstance]:
        """List the instances of a study. Raises PeerUnreachable, PeerRejected."""
        path = f"/studies/{quote(study_instance_uid)}/instances"
        return [
            RemoteInstance(study_instance_uid, _uid(one, _SERIES), _uid(one, _SOP_INSTANCE), None)
            for one in self._search(path, {}, MOST_INSTANCES)
        ]

    def fetch(self, instances: list[RemoteInstance], receiver: Receiver) -> None:
        """Fetch instances, one after the other. Raises as `fetch_wanted` does."""
        for instance in instances:
            if receiver.stop.is_set():
                return
            self._fetch_one(instance, receiver)

    def _fetch_one(self, instance: RemoteInstance, receiver: Receiver) -> None:
        path = "/studies/{}/series/{}/instances/{}".format(*map(quote, instance[:3]))
        response = self._connection.request("GET", path, {"Accept": _AS_STORED})
        if response.status != HTTPStatus.OK:
            self._connection.read_all(response)
            receiver.note_failure(instance.sop_instance_uid, f"the peer answers {response.status}")
            return
        pieces = read_first_part(
            response.headers.get("Content-Type", ""), lambda size: self._connection.read(response, size)
        )
        try:
            incoming = open_part10(pieces)
            if incoming.sop_instance_uid != instance.sop_instance_uid:
                raise PeerRejected("the peer sends another instance than was asked for")
            receiver.take(incoming)
            for _ in pieces:  # what is behind the data set, so that the connection is free
                pass
        except (PeerUnreachable, *ENDS):
            raise
        except Exception as error:
            self._connection.close()
            receiver.note_failure(instance.sop_instance_uid, error)

    def _search(self, path: str, keys: dict[str, str], most: int) -> Iterator[dict[str, Any]]:
        """Yield the answers of a search, page by page, until one brings nothing new."""
        seen: set[str] = set()
        for offset in range(0, most, _PAGE):
            query = urlencode({**keys, "limit": str(_PAGE), "offset": str(offset)})
            response = self._connection.request("GET", f"{path}?{query}", {"Accept": _JSON})
            answers = self._connection.read_json(response)
            if response.status == HTTPStatus.NO_CONTENT:
                return
            if response.status != HTTPStatus.OK or not isinstance(answers, list):
                raise PeerRejected(f"the peer answers the search with {response.status}")
            new = [one for one in answers if isinstance(one, dict) and repr(one) not in seen]
            seen.update(map(repr, new))
            yield from new
            if not new or len(answers) > _PAGE:  # it knows no pages, and has told all
                return
        raise PeerRejected(f"more than {most} answers to a search")


def _facts(answer: dict[str, Any]) -> StudyFacts:
    return StudyFacts(
        study_instance_uid=_uid(answer, _STUDY),
        accession_number=_text(answer, "00080050"),
        patient_id=_text(answer, "00100020"),
        issuer_of_patient_id=_text(answer, "00100021"),
        patient_name=_text(answer, "00100010"),
        patient_birth_date=_text(answer, "00100030"),
        patient_sex=_text(answer, "00100040"),
        study_date=_text(answer, "00080020"),
    )


def _text(answer: dict[str, Any], tag: str) -> str:
    """Read a value, of a person's name the alphabetic form (PS3.18 F.2.2); what is none says nothing."""
    try:
        (value, *_) = answer[tag]["Value"]
        told = value["Alphabetic"] if isinstance(value, dict) else value
    except (KeyError, TypeError, ValueError):
        return ""
    return told.strip(" \0") if isinstance(told, str) else ""


def _uid(answer: dict[str, Any], tag: str) -> str:
    try:
        (value, *_) = answer[tag]["Value"]
        return parse_uid(str(value))
    except (KeyError, TypeError, ValueError, InvalidUid) as error:
        raise PeerRejected("the peer answers with a UID that is none") from error
