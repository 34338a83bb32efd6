"""The conformance statement and the code that it speaks of."""

import re

import typer.main
from pydicom._uid_dict import UID_dictionary

from pacs.cli import peers
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.settings import Settings
from tests.conformance import DOCUMENT, document_with_tables, tables_named
from tests.conformance_tables import NETWORK_SETTINGS, TABLES
from tests.data import PROJECT


def test_the_tables_of_the_statement_are_those_of_the_code():
    text = DOCUMENT.read_text("utf-8")
    differing = [
        (stated, coded)
        for stated, coded in zip(text.splitlines(), document_with_tables(text).splitlines(), strict=False)
        if stated != coded
    ]
    assert differing[:1] == [], "make conformance brings the tables up to date"
    assert document_with_tables(text) == text


def test_every_table_has_its_place_in_the_statement():
    assert tables_named(DOCUMENT.read_text("utf-8")) == set(TABLES)


def test_a_table_that_differs_is_replaced_and_the_text_around_it_stays():
    text = "before\n<!-- table: rejections -->\n| old |\n<!-- end of table -->\nbehind\n"
    made = document_with_tables(text)
    assert made.startswith("before\n<!-- table: rejections -->\n| result |")
    assert made.endswith(" |\n<!-- end of table -->\nbehind\n")
    assert "old" not in made
    assert document_with_tables(made) == made


def test_every_setting_that_the_network_reads_is_stated():
    sources = [*(PROJECT / "pacs" / "dimse").rglob("*.py"), *(PROJECT / "pacs" / "dicomweb").rglob("*.py")]
    read = {
        name.removeprefix("resolved_")
        for path in sources
        for name in re.findall(r"settings\.(\w+)", path.read_text("utf-8"))
    }
    assert {"ae_title", "dicom_port"} <= read
    assert read & Settings.model_fields.keys() - set(NETWORK_SETTINGS) == set()


def test_the_transfer_syntaxes_that_are_not_taken_encode_no_data_sets():
    registered = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    assert {registered[uid] for uid in registered.keys() - TRANSFER_SYNTAXES.keys()} == {
        "RFC 2557 MIME encapsulation",
        "XML Encoding",
        "Papyrus 3 Implicit VR Little Endian",
    }


def test_everything_that_is_set_for_a_peer_is_stated():
    text = DOCUMENT.read_text("utf-8")
    options = [
        one.opts[0] for one in typer.main.get_command(peers.app).commands["add"].params if one.name != "aet"
    ]
    assert "--may" in options
    assert [option for option in options if option.startswith("--") and f"| `{option}` |" not in text] == []
