"""``filmless demo``: the archive, filled by a real C-STORE."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pacs.archive import open_archive
from pacs.demo.bundled import bundled_files
from pacs.demo.studies import demo_studies
from pacs.demo.worklist import demo_worklist
from pacs.dimse.scu import Instance, send_instances
from pacs.errors import ArchiveError
from pacs.orders import place_order
from pacs.settings import Settings
from pacs.supervisor import Supervisor

_CALLING_AE_TITLE = "DEMO"


def run_demo(supervisor: Supervisor, settings: Settings) -> None:
    """Start the archive, send it the demo studies, tell the viewer's address, and run until stopped."""
    supervisor.start()
    if supervisor.tend(until_ready=True):
        sender = threading.Thread(target=_fill, args=(supervisor, settings), name="demo-sender", daemon=True)
        sender.start()
        supervisor.tend()


def _fill(supervisor: Supervisor, settings: Settings) -> None:
    console = Console()
    try:
        refused = _send(console, supervisor, settings)
    except ArchiveError as error:
        console.print(f"The demo studies could not be sent: {error}", markup=False)
        return
    if refused:
        console.print(f"{refused} instances were not accepted")
    _place_orders(console, settings)
    console.print(f"\nOpen the viewer: {supervisor.url}/   (Ctrl-C stops it)\n", highlight=False)


def _place_orders(console: Console, settings: Settings) -> None:
    """Give the stations of the invented hospital their work of today."""
    with closing(open_archive(settings)) as archive:
        placed = [place_order(archive, order) for order in demo_worklist(datetime.now().astimezone().date())]
    console.print(f"{len(placed)} orders of today: FILMLESS_DATA_DIR={settings.data_dir} filmless order list")


def _batches() -> Iterator[tuple[str, int, Iterable[Instance]]]:
    """Give the demo studies, then pydicom's samples of other kinds and syntaxes: title, count, instances."""
    for study in demo_studies():
        yield study.title, study.number_of_instances, study.instances()
    samples = bundled_files()
    yield "pydicom · samples", len(samples), samples


def _send(console: Console, supervisor: Supervisor, settings: Settings) -> int:
    """Send every demo study; return how many instances were refused."""
    refused = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for title, number_of_instances, instances in _batches():
            task = progress.add_task(title, total=number_of_instances)
            for _, status in send_instances(
                settings.dicom_host,
                supervisor.dicom_port,
                settings.ae_title,
                instances,
                calling_ae_title=_CALLING_AE_TITLE,
            ):
                refused += status != 0x0000
                progress.advance(task)
    return refused
