from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.documents.content_tree import ContentItem, has_content_tree, read_content_tree
from pacs.documents.report import write_html, write_text
from pacs.errors import UnreadableInstance
from tests.datasets import make_dataset

ATTACK = "</p><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(meaning: str, value: str = "1") -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator="99", CodeMeaning=meaning)]


def content(value_type: str, name: str, **values: Any) -> Dataset:
    return item(ValueType=value_type, ConceptNameCodeSequence=code(name), **values)


def make_report(*items: Dataset, title: str = "Kết quả") -> Dataset:
    report = make_dataset(PixelData=None, Modality="SR", PatientName="NGUYỄN^VĂN ĐỨC=阮")
    report.ValueType, report.ConceptNameCodeSequence = "CONTAINER", code(title)
    report.ContentSequence = list(items)
    return report


REPORT = make_report(
    content("CONTAINER", "Kết luận", ContentSequence=[content("TEXT", "Nhận xét", TextValue="Bình thường")]),
    content(
        "NUM",
        "Đường kính",
        MeasuredValueSequence=[
            item(NumericValue="12.5", MeasurementUnitsCodeSequence=code("millimeter", "mm"))
        ],
        ContentSequence=[
            item(ValueType="IMAGE", ReferencedSOPSequence=[item(ReferencedSOPInstanceUID="1.2.3")])
        ],
    ),
    content("CODE", "Bên", ConceptCodeSequence=code("Phải")),
    content("PNAME", "Bác sĩ", PersonName="TRẦN^THỊ HOA"),
    content("DATE", "Ngày", Date="20261120"),
)


def test_the_content_is_written_in_its_order() -> None:
    text = write_text(REPORT)
    expected = (
        "Kết quả",
        "Bệnh nhân · Patient: NGUYỄN VĂN ĐỨC",
        "Kết luận\n  Nhận xét: Bình thường",
        "Đường kính: 12.5 mm\n  1.2.3",
        "Bên: Phải",
        "Bác sĩ: TRẦN THỊ HOA",
        "Ngày: 20261120",
    )
    places = [text.index(part) for part in expected]
    assert places == sorted(places)
    page = write_html(REPORT)
    assert "<h2><bdi>Kết luận</bdi></h2>" in page
    assert "<b><bdi>Đường kính</bdi>:</b> <bdi>12.5 mm</bdi>" in page
    assert page.startswith("<!doctype html>")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


PLAIN = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "h4", "h5", "h6"),
    *("table", "tr", "th", "td", "bdi", "section", "p", "b", "ul", "li"),
}


@pytest.mark.parametrize("place", ["title", "name", "value", "patient"])
def test_nothing_that_was_sent_becomes_markup(place: str) -> None:
    said = {"title": "t", "name": "n", "value": "v", place: ATTACK}
    report = make_report(content("TEXT", said["name"], TextValue=said["value"]), title=said["title"])
    report.PatientName = said.get("patient", "A^B")
    tags = _Tags()
    tags.feed(write_html(report))
    assert tags.found <= PLAIN
    assert tags.attributes <= {"lang", "charset"}
    assert "alert(1)" in write_html(report)


def test_a_report_that_nests_or_grows_without_end_is_refused() -> None:
    deep = content("TEXT", "end", TextValue="x")
    for _ in range(80):
        deep = content("CONTAINER", "level", ContentSequence=[deep])
    with pytest.raises(UnreadableInstance):
        write_html(make_report(deep))
    with pytest.raises(UnreadableInstance):
        write_text(make_report(*[item(ValueType="TEXT") for _ in range(20_001)]))


def test_what_is_no_report_is_told() -> None:
    assert has_content_tree(REPORT)
    assert not has_content_tree(make_dataset())


def test_items_without_what_they_should_have_say_nothing() -> None:
    kinds = ["TEXT", "CODE", "NUM", "DATE", "TIME", "DATETIME", "PNAME", "UIDREF"]
    kinds += ["IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "TCOORD", "NEW"]
    tree = read_content_tree(make_report(*[item(ValueType=kind) for kind in kinds]))
    assert tree.children == [ContentItem(kind, "", "", []) for kind in kinds]


@given(st.text(max_size=100), st.text(max_size=100))
@settings(max_examples=50, deadline=None)
def test_any_text_is_shown_and_no_markup(name: str, value: str) -> None:
    report = make_report(
        content("TEXT", name.replace("\\", ""), TextValue=value),
        content("NUM", "n", MeasuredValueSequence=[]),
    )
    tags = _Tags()
    tags.feed(write_html(report))
    assert tags.found <= PLAIN
    write_text(report)
