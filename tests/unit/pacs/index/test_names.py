from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.index.names import fold_name


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("NGUYỄN^VĂN ĐỨC", "nguyen van duc"),
        ("Nguyễn Văn^Đức^^", "nguyen van duc"),
        ("Hoà", "hoa"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "hong gildong=洪 吉洞=홍 길동"),
        ("A^B==", "a b"),
        ("", ""),
    ],
)
def test_a_name_is_folded_group_by_group(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@given(st.text(max_size=60))
def test_folding_what_is_folded_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


def test_a_name_too_long_to_be_remembered_is_folded_alike() -> None:
    assert fold_name("ĐỨC^" * 1000) == ("duc " * 1000).strip()
