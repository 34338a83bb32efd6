"""The HTTP door: DICOMweb, the pages, and what watches the process."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Response

from pacs import __version__
from pacs.archive import Archive
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.pictures.pictures import Pictures
from viewer_api.cors import CrossOrigin
from viewer_api.direct_answers import DirectAnswers
from viewer_api.forwarded import ForwardedAddress
from viewer_api.middleware import HeadRequests, RequestLimits, SecurityHeaders, UnexpectedErrors
from viewer_api.ohif.installation import OhifFolder
from viewer_api.problems import EXCEPTION_HANDLERS
from viewer_api.routes import (
    bulkdata,
    capabilities,
    changes,
    delete,
    exact,
    frames,
    health,
    matches,
    metadata,
    ohif,
    orders,
    peers,
    performed_steps,
    rendered,
    retrieve,
    search,
    send_jobs,
    send_routes,
    store,
    unbuilt,
    viewer,
    wado_uri,
)
from viewer_api.state import ViewerState

_DESCRIPTION: Final = (
    "The DICOMweb Studies Service (PS3.18 chapter 10) of a Filmless archive, and what its own pages use. "
    "Errors are problem details (RFC 9457). What answers GET answers HEAD too."
)


def create_app(archive: Archive) -> FastAPI:
    """Make the application that serves an archive; the caller closes the archive when it is done.

    The pages with the API's description are left out, as they load scripts from elsewhere; the description
    itself is at ``/openapi.json``.
    """
    app = _Application(
        title="Filmless",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would take the client's word for our name
        default_response_class=Response,
        exception_handlers=EXCEPTION_HANDLERS,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # what is asked for has patients' names
    )
    settings = archive.settings
    pictures = Pictures(archive, settings.picture_memory_bytes)
    app.state.viewer = ViewerState(archive, OhifFolder(settings.data_dir), pictures)
    # Paths are tried one after the other: what is asked for most comes first, and as the application's own
    # routes: those of a router that is included are tried twice.
    for often in (frames, retrieve, rendered, exact, metadata):
        app.router.routes.extend(often.router.routes)
    for seldom in (search, bulkdata, store, delete, capabilities, unbuilt):
        app.include_router(seldom.router, prefix=DICOM_WEB_PATH)
    app.include_router(changes.router)
    app.include_router(peers.router)
    app.include_router(send_jobs.router)
    app.include_router(performed_steps.router)
    app.include_router(send_routes.router)
    app.include_router(orders.router)
    app.include_router(matches.router)
    app.include_router(wado_uri.router)
    app.include_router(viewer.router)
    app.include_router(ohif.router)
    app.include_router(health.router)
    # The last one added is the outermost.
    app.add_middleware(HeadRequests)
    app.add_middleware(DirectAnswers, archive=archive)
    app.add_middleware(RequestLimits, settings=settings)
    app.add_middleware(ForwardedAddress, settings=settings)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    app.add_middleware(SecurityHeaders)
    return app


class _Application(FastAPI):
    """Describes itself without the answer 422 that the framework would give to a malformed parameter.

    Ours is 400, in problem details.
    """

    def openapi(self) -> dict[str, Any]:
        """Return the description, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    if "HTTPValidationError" in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]
            for name in ("HTTPValidationError", "ValidationError"):
                schema.get("components", {}).get("schemas", {}).pop(name, None)
        return super().openapi()
