"""OHIF on the command line: a second viewer, for radiologists, that an operator may add."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from pacs.cli.progress import told_size
from pacs.settings import load_settings, mask_password

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="Add OHIF, a viewer for radiologists with many tools, at /ohif/; or remove it. Filmless has its own "
    "viewer and needs none of it.",
    no_args_is_help=True,
)


@app.command()
def install(
    tarball: Annotated[
        Path | None,
        typer.Option(
            "--tarball",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="The package @ohif/app as npm has it ('npm pack @ohif/app@VERSION' on a machine with "
            "Internet). Default: fetched from OHIF_TARBALL_URL, if that is set.",
        ),
    ] = None,
) -> None:
    """Install OHIF into DATA_DIR, or replace the installed one. May run beside 'up'; nothing is restarted.

    Only the one version is taken that this version of Filmless was tested with, by its SHA-512.
    """
    from viewer_api.ohif.installation import OhifFolder

    settings = load_settings()
    with _open_package(tarball, settings.ohif_tarball_url) as package:
        typer.echo("checking, rewriting and compressing its files")
        installed = OhifFolder(settings.data_dir).install(package)
    typer.echo(
        f"OHIF {installed.version} is at {settings.resolved_public_url}/ohif/ "
        f"({len(installed.files)} files, {told_size(installed.size_bytes())})"
    )


@app.command()
def remove() -> None:
    """Remove OHIF from DATA_DIR. May run beside 'up'."""
    from viewer_api.ohif.installation import OhifFolder

    was_there = OhifFolder(load_settings().data_dir).remove()
    typer.echo("OHIF is removed" if was_there else "OHIF is not installed")


def _open_package(tarball: Path | None, url: str | None) -> BinaryIO:
    from viewer_api.ohif.tarball import RELEASE, fetch_tarball

    if tarball is not None:
        return tarball.open("rb")
    if url is None:
        raise typer.BadParameter(
            f"fetch the package by 'npm pack @ohif/app@{RELEASE.version}' and name the file here, or set "
            "FILMLESS_OHIF_TARBALL_URL",
            param_hint="--tarball",
        )
    typer.echo(f"fetching OHIF {RELEASE.version} from {mask_password(url)}")
    package: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    fetch_tarball(url, package)
    return package
