"""Keys of what is kept ready of series (storage/FORMAT.md)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

FORMAT: Final = 1  # of what is kept: a change of what is written for an instance gets a new number
KEY_PREFIX: Final = "metadata/"

_SUFFIX: Final = ".json.gz"
_KEY: Final = re.compile(
    rf"metadata/{FORMAT}/[0-9a-f]{{2}}/(?P<study>[0-9.]{{1,64}})/(?P<series>[0-9.]{{1,64}})\.[0-9a-f]{{64}}\.json\.gz",
    re.ASCII,
)


def metadata_key(study_instance_uid: str, series_instance_uid: str, made_from: Iterable[str]) -> str:
    """Build the key of a series' metadata.

    Parameters
    ----------
    made_from
        Everything that the text depends on, in order, so that a key tells one text for ever.
    """
    digest = hashlib.sha256("\n".join(made_from).encode()).hexdigest()
    return metadata_prefix(study_instance_uid, series_instance_uid) + digest + _SUFFIX


def metadata_prefix(study_instance_uid: str, series_instance_uid: str | None = None) -> str:
    """Return what the keys of a study begin with, or those of one of its series."""
    fan_out = hashlib.sha256(study_instance_uid.encode("ascii")).hexdigest()[:2]
    folder = f"{KEY_PREFIX}{FORMAT}/{fan_out}/{study_instance_uid}/"
    return folder if series_instance_uid is None else f"{folder}{series_instance_uid}."


def parse_metadata_key(key: str) -> tuple[str, str] | None:
    """Read Study and Series Instance UID from a key; None where it is of another format, or no such key."""
    found = _KEY.fullmatch(key)
    if found is None or not key.startswith(metadata_prefix(found["study"], found["series"])):
        return None
    return found["study"], found["series"]
