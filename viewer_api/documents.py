"""Reports and documents as answers. What somebody sent is never run in this site's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from pacs import __version__
from pacs.archive import Archive
from pacs.documents.content_tree import has_content_tree
from pacs.documents.encapsulated import ENCAPSULATED_PDF, locate_pdf, read_pdf
from pacs.documents.report import write_html, write_text
from pacs.errors import PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pictures.media_types import JPEG, PNG
from pacs.pictures.rendering import Rendering, ShownFrame
from pacs.retrieve import read_attributes
from viewer_api.byte_ranges import answer_pieces, piece_of
from viewer_api.caching import RENDERED, cache_headers, make_etag, not_modified
from viewer_api.negotiation import Representation
from viewer_api.pictures import answer_picture
from viewer_api.retrieve_request import RetrieveRequest
from viewer_api.stored_chunks import stored_piece

HTML: Final = "text/html"
TEXT: Final = "text/plain"
PDF: Final = "application/pdf"

_REPORT: Final = (Representation(HTML), Representation(TEXT))
_PDF: Final = (Representation(PDF), Representation(JPEG), Representation(PNG))
# An origin of its own that may run, load and send nothing.
_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def is_document(instance: StoredInstance) -> bool:
    """Tell whether an instance is shown in words, as far as the index knows."""
    return instance.sop_class_uid == ENCAPSULATED_PDF or instance.sop_class_uid.startswith(
        _STRUCTURED_REPORTS
    )


async def answer_document(asked: RetrieveRequest, instance: StoredInstance, rendering: Rendering) -> Response:
    """Answer with a report as a page or as text, with a PDF to be saved, or with a picture of its first page.

    Raises
    ------
    pacs.errors.PixelsUnavailable
        The instance is not what its SOP class says.
    viewer_api.problems.NotAcceptable
    """
    media_type = asked.choose(_PDF if instance.sop_class_uid == ENCAPSULATED_PDF else _REPORT).media_type
    if media_type in (JPEG, PNG):
        shown = ShownFrame(instance, 1, replace(rendering, media_type=media_type))
        return await answer_picture(asked, shown, RENDERED)
    if media_type == PDF:
        return await run_in_threadpool(_answer_pdf, asked, instance)
    etag = make_etag(__version__, instance.location.sha256, media_type)
    if (answer := not_modified(asked.request, etag, RENDERED)) is not None:
        return answer
    content = await run_in_threadpool(_WRITERS[media_type], asked.archive, instance)
    headers = {**cache_headers(etag, RENDERED), "Content-Security-Policy": _SANDBOX}
    return Response(content, headers=headers, media_type=f"{media_type}; charset=utf-8")


def _answer_pdf(asked: RetrieveRequest, instance: StoredInstance) -> Response:
    """Answer with a PDF, or a range of it, from where it lies in its object."""
    etag = make_etag(__version__, instance.location.sha256, PDF)
    if (answer := not_modified(asked.request, etag, RENDERED)) is not None:
        return answer
    extent = locate_pdf(asked.archive, instance)
    if extent is None:
        piece = piece_of(read_pdf(asked.archive, instance))
    else:
        piece = stored_piece(asked.archive, instance, extent)
    headers = {
        **cache_headers(etag, RENDERED),
        "Content-Security-Policy": _SANDBOX,
        "Content-Disposition": f'attachment; filename="{instance.sop_instance_uid}.pdf"',
    }
    return answer_pieces(asked.request, [piece], PDF, headers)


def _write_report(write: Callable[..., str], archive: Archive, instance: StoredInstance) -> bytes:
    attributes = read_attributes(archive, instance)
    if not has_content_tree(attributes):
        raise PixelsUnavailable("the instance is no structured report")
    return write(attributes).encode("utf-8", "replace")


_STRUCTURED_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_WRITERS: Final[Mapping[str, Callable[[Archive, StoredInstance], bytes]]] = {
    HTML: partial(_write_report, write_html),
    TEXT: partial(_write_report, write_text),
}
