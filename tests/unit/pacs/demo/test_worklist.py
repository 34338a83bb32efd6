"""The work of a day in the invented hospital."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pacs.demo.worklist import demo_worklist
from pacs.orders import place_order
from pacs.settings import Settings
from tests.empty_index import open_empty_archive

DAY = date(2026, 11, 24)


def test_every_order_of_the_day_can_be_placed_and_again_is_the_same(tmp_path: Path) -> None:
    archive = open_empty_archive(Settings(data_dir=tmp_path))
    try:
        placed = [place_order(archive, order) for order in demo_worklist(DAY)]
        again = [place_order(archive, order) for order in demo_worklist(DAY)]
    finally:
        archive.close()
    assert all(one.is_new for one in placed)
    assert not any(one.is_changed for one in again)
    assert len({one.order.accession_number for one in placed}) == len(placed)
    assert any(one.order.procedure_codes for one in placed)
    assert {one.order.steps[0].start_date for one in placed} == {"20261124"}
