import csv
from collections import Counter
from importlib.resources import files

import pytest

from pacs.codes.tables import load_table, read_table
from pacs.errors import SettingsError

HEADER = "code,name_vi,source"


def read_csv(name):
    text = files("pacs.codes").joinpath("data", "vn", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_shipped_table_knows_a_chest_radiograph():
    entry = load_table().lookup("18.0119.0028")
    assert entry.name == "Chụp X-quang ngực thẳng [số hóa 1 phim]"
    assert "FileDichVuBV.xlsx" in entry.source


def test_a_padded_code_value_is_found():
    assert load_table().lookup(" 18.0119.0028 ").value == "18.0119.0028"


@pytest.mark.parametrize("value", ["", "18.0119", "18.0119.0029", "１8.0119.0028", "RPID2"])
def test_a_code_that_is_not_in_the_table_is_not_found(value):
    assert load_table().lookup(value) is None


def test_the_shipped_table_has_the_private_designator():
    assert load_table().scheme == "99BYT"


def test_every_source_of_the_shipped_table_is_weighed():
    rows_by_source = Counter(row["source"] for row in read_csv("starter.csv"))
    weighed = read_csv("SOURCES.csv")
    assert {row["source"]: int(row["rows"]) for row in weighed} == rows_by_source
    assert all(row["table"] == "starter.csv" and row["standing"] for row in weighed)


@pytest.mark.parametrize(
    "code", ["18.0119.0028", "03.1234.0000", "18.0119.0028_GT", "18.0119.0028_TB", "18.0119.0028.K.79001"]
)
def test_every_form_of_code_can_be_read(code):
    assert read_table([HEADER, f"{code},Tên,nguồn"], "t").lookup(code).name == "Tên"


def test_a_name_may_hold_commas_and_line_breaks():
    table = read_table([HEADER + "\n", '18.0119.0028,"a, b\n', 'c",s\n'], "t")
    assert table.lookup("18.0119.0028").name == "a, b\nc"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "columns"),
        (["code,name"], "columns"),
        ([HEADER, "18.0119.28,Tên,nguồn"], "t, line 2: '18.0119.28'"),
        ([HEADER, "٠٨.0119.0028,Tên,nguồn"], "CC.KKKK.GGGG"),
        ([HEADER, "18.0119.0028,Tên"], "line 2"),
        ([HEADER, "18.0119.0028,,nguồn"], "line 2"),
        ([HEADER, "18.0119.0028,Tên,nguồn,thừa"], "line 2"),
        ([HEADER, "18.0119.0028,A,s", "18.0119.0028,B,s"], "line 3: 18.0119.0028 is there twice"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(lines, message):
    with pytest.raises(SettingsError, match=message):
        read_table(lines, "t")
