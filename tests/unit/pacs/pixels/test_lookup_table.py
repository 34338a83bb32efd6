from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.lookup_table import LookupTable, read_lookup_table, unpack_entries


def table_item(descriptor: Any, data: Any, vr: str = "US") -> Dataset:
    item = Dataset()
    if descriptor is not None:
        item.add_new("LUTDescriptor", "US", descriptor)
    if data is not None:
        item.add_new("LUTData", vr, data)
    return item


def test_values_outside_get_the_first_or_the_last_entry() -> None:
    table = read_lookup_table(table_item([3, 10, 8], [5, 6, 7]), is_signed=False, big_endian=False)
    values = np.array([-100, 9, 10, 11, 12, 13, 10**6])
    assert table.apply(values).tolist() == [5, 5, 5, 6, 7, 7, 7]


def test_fractions_are_rounded_and_nan_is_the_first_entry() -> None:
    table = LookupTable(0, np.array([5, 6, 7], np.uint16), 8)
    values = np.array([0.4, 0.6, 1.5, np.nan, np.inf, -np.inf])
    assert table.apply(values).tolist() == [5, 6, 7, 5, 7, 5]


def test_the_first_value_of_signed_pixels_is_signed() -> None:
    item = table_item([2, 65534, 8], [1, 2])
    assert read_lookup_table(item, is_signed=True, big_endian=False).first_value == -2
    assert read_lookup_table(item, is_signed=False, big_endian=False).first_value == 65534


def test_zero_entries_mean_65536() -> None:
    data = np.arange(65536, dtype="<u2").tobytes()
    table = read_lookup_table(table_item([0, 0, 16], data, "OW"), is_signed=False, big_endian=False)
    assert len(table.entries) == 65536 and table.entries[-1] == 65535


@pytest.mark.parametrize(("order", "big_endian"), [("<", False), (">", True)])
def test_words_are_read_in_the_order_of_the_transfer_syntax(order: str, big_endian: bool) -> None:
    data = np.array([1, 256, 515], f"{order}u2").tobytes()
    item = table_item([3, 0, 16], data, "OW")
    assert read_lookup_table(item, False, big_endian).entries.tolist() == [1, 256, 515]


def test_bytes_may_be_packed_in_pairs() -> None:
    assert unpack_entries(b"\1\2\3\4", 4, big_endian=False).tolist() == [1, 2, 3, 4]
    assert unpack_entries(b"\2\1\4\3", 4, big_endian=True).tolist() == [1, 2, 3, 4]
    assert unpack_entries(b"\1\0\2\0", 2, big_endian=False).tolist() == [1, 2]


def test_a_single_entry_is_a_table() -> None:
    table = read_lookup_table(table_item([1, 0, 8], 7), is_signed=False, big_endian=False)
    assert table.entries.tolist() == [7]


def test_entries_above_the_stated_bits_raise_the_bits() -> None:
    assert read_lookup_table(table_item([2, 0, 8], [0, 4095]), False, False).highest_output == 4095
    assert read_lookup_table(table_item([2, 0, 12], [0, 5]), False, False).highest_output == 4095


@pytest.mark.parametrize(
    ("descriptor", "data", "vr"),
    [
        (None, [1], "US"),
        (3, [1], "US"),
        ([1, 2], [1], "US"),
        ([1, 0, 0], [1], "US"),
        ([1, 0, 17], [1], "US"),
        ([1, 0, 8], None, "US"),
        ([4, 0, 8], b"", "OW"),
        ([4, 0, 8], b"\1", "OW"),
    ],
)
def test_a_damaged_table_is_refused(descriptor: Any, data: Any, vr: str) -> None:
    with pytest.raises(UndecodablePixels):
        read_lookup_table(table_item(descriptor, data, vr), is_signed=False, big_endian=False)


def test_a_table_with_fewer_entries_than_stated_is_used_as_it_is() -> None:
    table = read_lookup_table(table_item([9, 0, 8], [1, 2]), is_signed=False, big_endian=False)
    assert table.apply(np.array([0, 1, 8])).tolist() == [1, 2, 2]
