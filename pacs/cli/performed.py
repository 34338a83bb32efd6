"""Performed procedure steps on the command line: what modalities said of their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.index.performed_steps import PerformedStep

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="See what modalities said of their work (MPPS): what they do, have done, and have broken off.",
    no_args_is_help=True,
)

_MOST_LISTED = 1000


@app.command("list")
def list_steps(
    running: Annotated[bool, typer.Option("--running", help="Only those that have not ended.")] = False,
    study: Annotated[str | None, typer.Option(metavar="UID", help="Only those of this study.")] = None,
    accession: Annotated[str | None, typer.Option(metavar="NUMBER", help="Only those of this order.")] = None,
) -> None:
    """List steps, newest first: begin, status, modality, station, accession numbers, UID (no patient)."""
    from pacs.dicom.performed_procedure_step import StepStatus
    from pacs.index.performed_steps import StepFilter

    wanted = StepFilter(StepStatus.IN_PROGRESS if running else None, study, accession)
    with opened_archive() as archive:
        found = archive.index.performed_steps.list_steps(wanted, _MOST_LISTED)
    for step in found:
        typer.echo(_line(step))
    if not found:
        typer.echo("there are no such steps")


@app.command()
def show(uid: Annotated[str, typer.Argument(metavar="UID", help="SOP Instance UID of the step.")]) -> None:
    """Show a step whole, and who said something of it when. The patient is named here."""
    from pacs.dicom import performed_procedure_step as mpps
    from pacs.errors import UnknownProcedureStep

    with opened_archive() as archive:
        step = archive.index.performed_steps.find(uid)
        if step is None:
            raise UnknownProcedureStep("no procedure step has this SOP Instance UID")
        messages = archive.index.performed_steps.messages(uid)
    typer.echo(_line(step))
    typer.echo(
        f"patient   {mpps.text(step.dataset, mpps.PATIENT_ID)}  {mpps.text(step.dataset, mpps.PATIENT_NAME)}"
    )
    for one in mpps.scheduled_steps(step.dataset):
        what = one.scheduled_procedure_step_id or "unscheduled"
        typer.echo(
            f"as        {what}, accession {one.accession_number or '-'}, study {one.study_instance_uid}"
        )
    for series in mpps.items(step.dataset, mpps.PERFORMED_SERIES_SEQUENCE):
        images = mpps.items(series, mpps.REFERENCED_IMAGE_SEQUENCE)
        typer.echo(f"series    {mpps.text(series, mpps.SERIES_INSTANCE_UID)}, {len(images)} images")
    for number, message in enumerate(messages, start=1):
        said = "N-CREATE" if number == 1 else "N-SET"
        typer.echo(
            f"{said:9} {message.at:%Y-%m-%d %H:%M:%S} UTC from {message.calling_ae_title or 'unknown sender'}"
        )


def _line(step: PerformedStep) -> str:
    from pacs.dicom import performed_procedure_step as mpps

    numbers = {one.accession_number for one in mpps.scheduled_steps(step.dataset)} - {""}
    begin = mpps.text(step.dataset, mpps.START_DATE) + " " + mpps.text(step.dataset, mpps.START_TIME)[:6]
    modality = mpps.text(step.dataset, mpps.MODALITY)
    station = mpps.text(step.dataset, mpps.PERFORMED_STATION_AE_TITLE)
    return (
        f"{begin:15}  {step.status:12}  {modality:4}  {station:16}  {', '.join(sorted(numbers)) or '-':16}  "
        f"{step.sop_instance_uid}"
    )
