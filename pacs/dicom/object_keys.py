"""The keys under which objects are kept (storage/FORMAT.md): validated UIDs and a digest, nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from storage.packed_keys import own_key

_KEY = re.compile(
    r"[0-9a-f]{2}/(?P<study>[0-9.]{1,64})/(?P<series>[0-9.]{1,64})/(?P<sop>[0-9.]{1,64})\.(?P<sha256>[0-9a-f]{64})\.dcm",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What a key tells; ``sha256`` is that of the whole Part 10 object, in hexadecimal."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sha256: str

    def key(self) -> str:
        """Build the key; two digits of a hash spread the studies over 256 folders."""
        fan_out = hashlib.sha256(self.study_instance_uid.encode("ascii")).hexdigest()[:2]
        return (
            f"{fan_out}/{self.study_instance_uid}/{self.series_instance_uid}/"
            f"{self.sop_instance_uid}.{self.sha256}.dcm"
        )


def parse_key(key: str) -> ObjectName | None:
    """Read a key back, also that of an object in a pack; None if it is not one of ours."""
    key = own_key(key)
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    name = ObjectName(found["study"], found["series"], found["sop"], found["sha256"])
    return name if name.key() == key else None
