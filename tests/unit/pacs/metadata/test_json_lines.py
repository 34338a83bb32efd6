from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.metadata.json_lines import compress, decompress, read_array, write_array

DATASETS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5)


def split(data: bytes, size_bytes: int) -> Iterator[bytes]:
    for begin in range(0, len(data), size_bytes):
        yield data[begin : begin + size_bytes]


@settings(max_examples=60)
@given(DATASETS, st.integers(1, 30))
def test_what_was_written_is_an_array_and_is_read_back(datasets: list[dict[str, str]], size: int) -> None:
    encoded = [orjson.dumps(dataset) for dataset in datasets]
    text = b"".join(write_array(encoded))
    assert orjson.loads(text) == datasets
    assert list(read_array(split(text, size))) == encoded


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_compressed_data_is_one_member_and_comes_back_however_it_is_cut(data: bytes, size: int) -> None:
    compressed = b"".join(compress(split(data, size)))
    one_member = zlib.decompressobj(wbits=31)
    assert one_member.decompress(compressed) == data
    assert one_member.eof
    assert one_member.unused_data == b""
    assert b"".join(decompress(split(compressed, size))) == data


def test_the_same_data_gives_the_same_bytes() -> None:
    assert b"".join(compress([b"a" * 1000])) == b"".join(compress([b"a" * 1000]))


def test_what_was_compressed_very_well_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    sizes = [len(piece) for piece in decompress([bomb])]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 1 << 18


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: data[:20] + b"\0" + data[21:]])
def test_damage_is_told(damage) -> None:  # type: ignore[no-untyped-def]
    compressed = b"".join(compress([bytes(range(256)) * 10]))
    with pytest.raises(ValueError, match="compressed data"):
        list(decompress([damage(compressed)]))
