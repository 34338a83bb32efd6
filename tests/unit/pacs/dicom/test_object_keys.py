from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.object_keys import ObjectName, parse_key

DIGEST = "ab" * 32
NAME = ObjectName("1.2.3", "1.2.3.4", "1.2.3.4.5", DIGEST)
UIDS = st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,5}){0,5}", fullmatch=True)


def test_the_layout_is_the_one_that_format_md_states() -> None:
    assert NAME.key() == f"{NAME.key()[:2]}/1.2.3/1.2.3.4/1.2.3.4.5.{DIGEST}.dcm"
    assert re.fullmatch(r"[0-9a-f]{2}", NAME.key()[:2])


@given(UIDS, UIDS, UIDS, st.binary(min_size=32, max_size=32))
def test_a_key_is_read_back(study: str, series: str, sop: str, digest: bytes) -> None:
    name = ObjectName(study, series, sop, digest.hex())
    assert parse_key(name.key()) == name


@pytest.mark.parametrize(
    "key",
    [
        "",
        "readme.txt",
        NAME.key() + ".tmp",
        NAME.key().replace(DIGEST, "ab"),
        "../" + NAME.key(),
        NAME.key().replace("1.2.3/", "1.2.9/"),
    ],
)
def test_what_is_not_a_key_of_ours_is_none(key: str) -> None:
    assert parse_key(key) is None
