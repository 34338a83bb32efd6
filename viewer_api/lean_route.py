"""Routes that read their arguments themselves, where pictures and frames are made by the thousand.

FastAPI reads the arguments of a route by its dependencies, and has stacks ready for what these want closed:
that takes longer than a small picture is made. The signature stays what the API's description is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from inspect import iscoroutinefunction, signature
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from viewer_api.params import read_preview, read_rendering, read_thumbnail
from viewer_api.retrieve_request import read_retrieve_request

_READERS: Final[Mapping[str, Callable[[Request], object]]] = {
    "asked": read_retrieve_request,
    "rendering": read_rendering,
    "thumbnail": read_thumbnail,
    "preview": read_preview,
    "frame_list": lambda request: request.path_params["frame_list"],
}


class LeanRoute(APIRoute):
    """A route with no other arguments than these; what it raises is for the application's handlers."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._answer = self.get_route_handler()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] in (self.methods or ()):
            response = await self._answer(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await super().handle(scope, receive, send)  # which refuses it

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint = self.endpoint
        is_async = iscoroutinefunction(endpoint)
        readers = [(name, _READERS[name]) for name in signature(endpoint).parameters]

        async def answer(request: Request) -> Response:
            arguments = {name: read(request) for name, read in readers}
            if is_async:
                response: Response = await endpoint(**arguments)
            else:
                response = await run_in_threadpool(endpoint, **arguments)
            return response

        return answer
