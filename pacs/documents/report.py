"""A structured report as a page and as plain text; nothing of it is taken for markup."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from pydicom.dataset import Dataset

from pacs.documents.content_tree import CONTAINER, ContentItem, read_content_tree
from pacs.pixels.elements import read_texts

# In Vietnamese first, as everywhere; what the data set lacks is left out.
_HEAD: Final = (
    ("Bệnh nhân · Patient", "PatientName"),
    ("Mã BN · Patient ID", "PatientID"),
    ("Ngày sinh · Birth date", "PatientBirthDate"),
    ("Giới · Sex", "PatientSex"),
    ("Ngày chụp · Study date", "StudyDate"),
    ("Mô tả · Description", "StudyDescription"),
    ("Cơ sở · Institution", "InstitutionName"),
    ("Hoàn thành · Completion", "CompletionFlag"),
    ("Xác nhận · Verification", "VerificationFlag"),
)
_UNTITLED: Final = "Báo cáo · Report"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "table{border-collapse:collapse;margin-bottom:1.5rem}th{text-align:left;font-weight:normal;color:#555;"
    "padding-right:1.5rem}h1{font-size:1.5rem}h2{font-size:1.2rem;border-bottom:1px solid #ccc}"
    "h3,h4,h5,h6{font-size:1rem;margin-bottom:.3rem}p{margin:.3rem 0;white-space:pre-wrap}"
    "section section{margin-left:1rem}ul{margin:.2rem 0 .2rem 1.5rem;padding:0;list-style:none}"
)


def write_html(attributes: Dataset) -> str:
    """Write a report as a page of its own, without any script, image or link.

    Raises
    ------
    pacs.errors.UnreadableInstance
        It has more content than can be shown.
    """
    root = read_content_tree(attributes)
    title = escape(root.name or _UNTITLED)
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td><bdi>{escape(text)}</bdi></td></tr>"
        for label, text in _read_head(attributes)
    )
    content = "".join(piece for child in root.children for piece in _html(child, 2))
    return (
        f'<!doctype html>\n<html lang="vi"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1><bdi>{title}</bdi></h1><table>{rows}</table>{content}"
        "</body></html>\n"
    )


def write_text(attributes: Dataset) -> str:
    """Write a report as plain text, each level indented; raises what :func:`write_html` raises."""
    root = read_content_tree(attributes)
    head = [f"{label}: {text}" for label, text in _read_head(attributes)]
    content = [line for child in root.children for line in _lines(child, 0)]
    return "\n".join([root.name or _UNTITLED, "", *head, "", *content]) + "\n"


def _read_head(attributes: Dataset) -> list[tuple[str, str]]:
    found = []
    for label, keyword in _HEAD:
        text = " ".join(read_texts(attributes, keyword))
        if keyword == "PatientName":
            text = text.partition("=")[0].replace("^", " ").strip()
        if text:
            found.append((label, text))
    return found


def _html(item: ContentItem, level: int) -> Iterator[str]:
    name, value = escape(item.name), escape(item.value)
    below = [piece for child in item.children for piece in _html(child, min(level + 1, 6))]
    if item.value_type == CONTAINER:
        heading = f"<h{level}><bdi>{name}</bdi></h{level}>" if name else ""
        yield f"<section>{heading}{''.join(below)}</section>"
        return
    label = f"<b><bdi>{name}</bdi>:</b> " if name else ""
    yield f"<p>{label}<bdi>{value}</bdi></p>"
    if below:
        yield f"<ul><li>{''.join(below)}</li></ul>"


def _lines(item: ContentItem, depth: int) -> Iterator[str]:
    indent = "  " * depth
    said = ": ".join(text for text in (item.name, item.value) if text)
    for line in said.splitlines():
        yield indent + line
    for child in item.children:
        yield from _lines(child, depth + 1)
