"""Values of others as the keys of B-trees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacs.index.fitted_keys import LONGEST_KEY_BYTES, fitted_key


@given(st.text(max_size=64))
def test_what_the_standard_allows_stays_as_it_is(text: str) -> None:
    assert fitted_key(text) == text


@given(st.characters(exclude_categories=["Cs"]), st.integers(0, 1024), st.text("ab", max_size=3))
def test_every_key_fits_and_what_is_shortened_is_kept_apart(letter: str, length: int, end: str) -> None:
    text = letter * length + end
    assert len(fitted_key(text).encode()) <= LONGEST_KEY_BYTES
    assert fitted_key(text) != fitted_key(text + "c")
