"""Orders on the command line: what is to be examined, from which stations get their worklist."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.dicom.orders import Order, StepState

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="Place, list and cancel orders: what is to be examined. Modalities get them as their worklist.",
    no_args_is_help=True,
)

Number = Annotated[str, typer.Argument(metavar="ACCESSION", help="Accession number of the order.")]
Step = Annotated[
    str | None, typer.Option("--step", metavar="ID", help="One scheduled step; else all that have not ended.")
]
Codes = Annotated[
    list[str] | None,
    typer.Option(metavar="CODE", help="National code of the procedure, e.g. 18.0192.0041."),
]
Stations = Annotated[
    list[str] | None,
    typer.Option(metavar="AET", help="Station that may do it; several times, or never for any station."),
]


@app.command()
def add(
    patient_id: Annotated[str, typer.Option(metavar="ID", help="Patient ID.")] = "",
    name: Annotated[str, typer.Option(help='Patient\'s name as DICOM writes it: "NGUYỄN^VĂN ĐỨC".')] = "",
    modality: Annotated[str, typer.Option(help="CT, MR, DX, US ...")] = "",
    accession: Annotated[str, typer.Option(help="Accession number; one is made unless given.")] = "",
    birth_date: Annotated[str | None, typer.Option(metavar="YYYYMMDD")] = None,
    sex: Annotated[str | None, typer.Option(metavar="M|F|O")] = None,
    date: Annotated[str, typer.Option(metavar="YYYYMMDD", help="When it is to be done; else now.")] = "",
    time: Annotated[str, typer.Option(metavar="HHMM", help="Now if the date is left out too.")] = "",
    station: Stations = None,
    description: Annotated[str | None, typer.Option(help="What is to be done, in words.")] = None,
    code: Codes = None,
    reason: Annotated[str | None, typer.Option(help="Why it is done.")] = None,
    priority: Annotated[str | None, typer.Option(help="STAT, HIGH, ROUTINE or LOW.")] = None,
    referring: Annotated[str | None, typer.Option(metavar="NAME", help="Referring physician.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, allow_dash=True,
            help="A JSON file with the order in full, as GET /orders tells it, - for standard input; the "
            "other options are not looked at.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Place an order, or put it in the place of the one with its accession number."""
    from pacs.orders import place_order

    if file is not None:
        order = _read_order(file)
    else:
        now = datetime.now().astimezone()
        start = (date or f"{now:%Y%m%d}", time or ("000000" if date else f"{now:%H%M%S}"))
        order = _order(
            accession_number=accession, patient_id=patient_id, patient_name=name,
            patient_birth_date=birth_date, patient_sex=sex, description=description, reason=reason,
            priority=priority, referring_physician_name=referring, modality=modality, start=start,
            stations=tuple(station or ()), codes=tuple(code or ()),
        )  # fmt: skip
    with opened_archive() as archive:
        placed = place_order(archive, order)
    done = "placed" if placed.is_new else "replaced" if placed.is_changed else "there already"
    typer.echo(f"{placed.order.accession_number} {done}")


@app.command("list")
def list_orders(
    date: Annotated[
        str | None, typer.Option(metavar="YYYYMMDD[-YYYYMMDD]", help="Of a day, or a range of days.")
    ] = None,
    station: Annotated[str | None, typer.Option(metavar="AET", help="For a station, or for any.")] = None,
    modality: Annotated[str | None, typer.Option()] = None,
    name: Annotated[str | None, typer.Option(help="Beginnings of words of the patient's name.")] = None,
    patient_id: Annotated[str | None, typer.Option(metavar="ID")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those too that are done or canceled.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
) -> None:
    """List what is to be done, the first to start first."""
    from pacs.dicom.worklist_attributes import BY_FIELD, Part
    from pacs.index.records import WorklistQuery

    of_step = {"start_date": date, "station_ae_titles": station, "modality": modality}
    of_order = {"patient_name": name, "patient_id": patient_id}
    keys = [(BY_FIELD[Part.STEP][field], value) for field, value in of_step.items() if value]
    keys += [(BY_FIELD[Part.ORDER][field], value) for field, value in of_order.items() if value]
    with opened_archive() as archive:
        query = WorklistQuery(keys, open_only=not ended, fuzzy=True)
        page = archive.index.orders.list_matching(query, limit)
    for order in page.orders:
        for step in order.steps:
            typer.echo(_line(order, step))
    if page.truncated:
        typer.echo(f"there are more than {limit}; name a date or a station, or raise --limit")
    if not page.orders:
        typer.echo("there are no orders; 'filmless order add' places one")


@app.command()
def show(accession: Number) -> None:
    """Show an order in full, as JSON."""
    import orjson

    from pacs.dicom.order_values import to_plain

    with opened_archive() as archive:
        order = archive.index.orders.find(accession)
    typer.echo(orjson.dumps(to_plain(order), option=orjson.OPT_INDENT_2).decode())


@app.command()
def state(
    accession: Number,
    to: Annotated[str, typer.Argument(metavar="STATE", help="ARRIVED, READY, STARTED, COMPLETED ...")],
    step: Step = None,
) -> None:
    """Move an order to a state: SCHEDULED, ARRIVED, READY, STARTED, DEPARTED, COMPLETED, DISCONTINUED."""
    from pacs.dicom.orders import StepState

    if to.upper() not in StepState.__members__:
        raise typer.BadParameter(f"a state is one of {', '.join(StepState)}")
    _set_state(accession, StepState(to.upper()), step)


@app.command()
def cancel(accession: Number, step: Step = None) -> None:
    """Cancel an order that has not begun; it leaves the worklist, and is kept."""
    from pacs.dicom.orders import StepState

    _set_state(accession, StepState.CANCELED, step)


def _set_state(accession: str, to: StepState, step: str | None) -> None:
    with opened_archive() as archive:
        order = archive.index.orders.set_state(accession, to, datetime.now(UTC), step_id=step)
    for one in order.steps:
        typer.echo(_line(order, one))


def _read_order(file: Path) -> Order:
    import sys

    import orjson

    from pacs.dicom.order_values import read_plain
    from pacs.errors import InvalidRequest

    text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        plain = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{file} is not JSON: {error}") from None
    if not isinstance(plain, dict):
        raise InvalidRequest(f"{file} has no order")
    return read_plain(plain)


def _order(
    *, modality: str, start: tuple[str, str], stations: tuple[str, ...], codes: tuple[str, ...], **values: Any
) -> Order:
    from pacs.dicom.orders import Code, Order, ScheduledStep

    step = ScheduledStep(modality.upper(), *start, station_ae_titles=stations)
    return Order(**values, steps=(step,), procedure_codes=tuple(Code(code, "", "") for code in codes))


def _line(order: Order, step: Any) -> str:
    stations = ",".join(step.station_ae_titles) or "any station"
    parts = (
        step.step_id, f"{step.start_date} {step.start_time[:4]}", f"{step.modality:3}", stations,
        f"{step.state:12}", order.patient_id, order.patient_name, step.description or "",
    )  # fmt: skip
    return "  ".join(parts).rstrip()
