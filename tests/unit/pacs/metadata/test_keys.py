from __future__ import annotations

import pytest

from pacs.metadata.keys import metadata_key, metadata_prefix, parse_metadata_key
from storage.keys import check_key

STUDY, SERIES = "1.2.3", "1.2.3.4"


def test_a_key_names_its_series_and_what_it_was_made_from() -> None:
    key = metadata_key(STUDY, SERIES, ["a", "b"])
    check_key(key)
    assert key.startswith(metadata_prefix(STUDY, SERIES))
    assert key.startswith(metadata_prefix(STUDY))
    assert parse_metadata_key(key) == (STUDY, SERIES)
    others = [["b", "a"], ["a"], ["a", "b", "c"]]
    assert len({key, *(metadata_key(STUDY, SERIES, made_from) for made_from in others)}) == 4


def test_the_longest_uids_make_a_key_that_every_store_takes() -> None:
    check_key(metadata_key("1." + "2" * 62, "1." + "3" * 62, []))


def test_the_keys_of_a_series_are_not_those_of_one_whose_uid_begins_alike() -> None:
    assert not metadata_key(STUDY, SERIES + "5", []).startswith(metadata_prefix(STUDY, SERIES))


@pytest.mark.parametrize(
    ("old", "new"),
    [("metadata/1/", "metadata/2/"), ("/1.2.3/", "/1.2.4/"), (".json.gz", ""), ("1.2.3.4", "x")],
)
def test_other_keys_are_not_read(old: str, new: str) -> None:
    assert parse_metadata_key(metadata_key(STUDY, SERIES, []).replace(old, new)) is None
