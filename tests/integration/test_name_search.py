"""Names as Vietnamese hospitals search for them, on both databases."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest

from pacs.archive import Archive
from pacs.dicom.attributes import Level, find_key
from pacs.index.records import Query
from tests.integration.test_index import make_record
from tests.vietnamese_names import vietnamese_names

NAMES = list(vietnamese_names(1000))
# What other archives do not find: Orthanc's index drops letters that are not ASCII, and the phonetic codes of
# dcm4chee's are empty for these.
FAILURES_OF_OTHERS = ["NGUYỄN^VĂN ĐỨC", "TRẦN^THỊ THỬ", "Lê^Thị Hà", "Phạm^Gia Huy", "Đỗ^Thị Hoa"]
OTHER_STYLE = {"Hoà": "Hòa", "Hoá": "Hóa", "Thuỷ": "Thủy", "Thúy": "Thuý"}


def bare(name: str) -> str:
    """Fold a name by other means than the archive does."""
    decomposed = unicodedata.normalize("NFD", name.lower().replace("đ", "d").replace("^", " "))
    return "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")


def words(name: str) -> tuple[str, ...]:
    return tuple(sorted(bare(name).split()))


@pytest.fixture(scope="module")
def filled(module_archive: Archive) -> Archive:
    records = [
        make_record(study=f"1.2.{n}", series=f"1.2.{n}.1", patient_id=f"BN{n}", patient_name=name)
        for n, name in enumerate(NAMES + FAILURES_OF_OTHERS)
    ]
    for first in range(0, len(records), 200):
        module_archive.index.write_in_order(records[first : first + 200])
    return module_archive


def found(archive: Archive, value: str, **options: bool) -> list[str]:
    key = find_key("PatientName")
    assert key is not None
    matches = archive.index.search(Query(Level.STUDY, [(key, value)], limit=1000, **options)).matches
    return [str(match.values["PatientName"]) for match in matches]


def in_another_style(name: str) -> str:
    for one, other in OTHER_STYLE.items():
        name = name.replace(one, other)
    return name


TYPED: list[Callable[[str], str]] = [
    bare,
    str.upper,
    lambda name: name.replace("^", " "),
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: " ".join(reversed(name.replace("^", " ").split())),
    lambda name: "^".join(reversed(bare(name).split())),
    in_another_style,
    lambda name: name.replace("Đ", "D").replace("đ", "d"),
]


def test_a_thousand_names_are_found_however_they_are_typed(filled: Archive) -> None:
    same: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in NAMES + FAILURES_OF_OTHERS:
        same[words(name)].append(name)
    for number, name in enumerate(NAMES[::3]):
        typed = TYPED[number % len(TYPED)](name)
        assert sorted(found(filled, typed)) == sorted(same[words(name)]), typed


@pytest.mark.parametrize("name", FAILURES_OF_OTHERS)
def test_names_that_other_archives_lose_are_found(filled: Archive, name: str) -> None:
    last = name.rsplit(maxsplit=1)[-1]
    for typed in (name, bare(name), f"*{last}", f"{bare(name).split()[0]}*{bare(last)}", f"*{bare(last)}*"):
        assert name in found(filled, typed), typed
    assert name in found(filled, bare(last)[:2], fuzzy=True)
    box = filled.index.search(
        Query(Level.STUDY, text=f"{last} {name.split('^', maxsplit=1)[0]}", limit=1000)
    ).matches
    assert name in [match.values["PatientName"] for match in box]


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("nguyen*", lambda its: any(word.startswith("nguyen") for word in its)),
        ("*uy*", lambda its: any("uy" in word for word in its)),
        ("duc van*", lambda its: "duc" in its and any(word.startswith("van") for word in its)),
        ("h*g", lambda its: any(w[0] == "h" for w in its) and any(w[-1] == "g" for w in its)),
        ("th? hoa*", lambda its: {"thi", "thu"} & set(its) and any(w.startswith("hoa") for w in its)),
    ],
)
def test_wildcards_are_for_words_in_any_order(
    filled: Archive, value: str, matches: Callable[[Iterable[str]], bool]
) -> None:
    expected = [name for name in NAMES + FAILURES_OF_OTHERS if matches(words(name))]
    if value == "th? hoa*":  # a question mark leaves the words where they are
        expected = [name for name in expected if bare(name).startswith(("thi hoa", "thu hoa"))]
    assert sorted(found(filled, value)) == sorted(expected)


def test_names_with_the_diacritics_that_were_typed_come_first_on_every_page(archive: Archive) -> None:
    spelled = ["Lê^Hoa", "Lê^Hoà", "Lê^Hóa", "Lê^Hòa", "LÊ^HOÀ", "Le^Hoa", "Lê^Hoạ"]
    for number, name in enumerate(spelled):
        record = make_record(study=f"1.2.{number}", series=f"1.2.{number}.1", patient_name=name)
        archive.index.write(record)
    newest_first = list(reversed(spelled))
    first = [name for name in newest_first if name.lower() in ("lê^hoà", "lê^hòa")]
    rest = [name for name in newest_first if name not in first]
    assert found(archive, "Lê Hòa") == first + rest
    assert found(archive, "le hoa") == newest_first
    key = find_key("PatientName")
    assert key is not None
    pages = [
        archive.index.search(Query(Level.STUDY, [(key, "Hoà*")], limit=2, offset=offset))
        for offset in range(0, 8, 2)
    ]
    assert [page.truncated for page in pages] == [True, True, True, False]
    assert [m.values["PatientName"] for page in pages for m in page.matches] == first + rest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Yamada^Tarou", True),
        ("tarou yamada", True),
        ("山田^太郎", True),
        ("やまだ^たろう", True),
        ("Yamada*=山田*", True),
        ("=山田^太郎", True),
        ("=太郎^山田=たろう^やまだ", True),
        ("=yamada^tarou", False),
        ("=*やまだ*", False),
        ("Yamada^Tarou=別人", False),
        ("Yamada^太郎", False),
    ],
)
def test_component_groups_match_each_for_itself(module_archive: Archive, value: str, expected: bool) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    module_archive.index.write(make_record(study="1.3.1", series="1.3.1.1", patient_name=name))
    assert (name in found(module_archive, value)) is expected


def test_a_word_that_is_as_long_as_senders_make_it_is_found(archive: Archive) -> None:
    name = "Ấ" * 1000
    archive.index.write(make_record(patient_name=name, patient_id="X" * 1000))
    assert found(archive, "á" * 1000) == [name]
    assert found(archive, "a" * 90 + "*") == [name]
    assert found(archive, "a" * 999 + "b") == []
