from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from viewer_api.app import create_app
from viewer_api.routes import unbuilt

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "{http://wadl.dev.java.net/2009/02}"
PREFIX = "/dicom-web"


def operations(element: ElementTree.Element, path: str = "") -> Iterator[tuple[str, str]]:
    for method in element.findall(f"{NAMESPACE}method"):
        yield method.attrib["name"], path
    for resource in element.findall(f"{NAMESPACE}resource"):
        yield from operations(resource, f"{path}/{resource.attrib['path']}")


def routes(archive: Archive) -> set[tuple[str, str]]:
    """List what the application really routes, not what it says of itself."""
    never = {(method, path) for method, path in unbuilt._RESOURCES}
    app = create_app(archive)
    found = set()
    for route in _flat(app.routes):
        path = getattr(route, "path", "").replace(":path}", "}")
        if path.startswith(PREFIX + "/"):
            found |= {(method, path.removeprefix(PREFIX)) for method in route.methods or ()}
    return {one for one in found if one not in never and one[0] not in ("HEAD", "OPTIONS")}


def _flat(found: Any) -> Iterator[Any]:
    for route in found:
        inner = getattr(route, "effective_route_contexts", None)
        if inner is not None:
            yield from inner()
        else:
            yield route


@pytest.mark.parametrize("path", [PREFIX, PREFIX + "/"])
def test_the_capabilities_are_the_routes_and_nothing_else(
    client: TestClient, module_archive: Archive, path: str
) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, WADL)
    (resources,) = ElementTree.fromstring(answer.content)
    assert resources.attrib["base"] == "https://pacs.example.vn/xa/dicom-web"
    described = set(operations(resources))
    assert described == routes(module_archive)
    assert {("POST", "/studies"), ("GET", "/studies/{study_instance_uid}/metadata")} < described


def test_a_method_names_what_it_takes_and_gives(client: TestClient) -> None:
    (resources,) = ElementTree.fromstring(client.options(PREFIX).content)
    studies = next(one for one in resources if one.attrib["path"] == "studies")
    methods = {one.attrib["name"]: one for one in studies.findall(f"{NAMESPACE}method")}
    (request,) = methods["POST"].findall(f"{NAMESPACE}request")
    taken = {one.attrib["mediaType"] for one in request.findall(f"{NAMESPACE}representation")}
    assert 'multipart/related; type="application/dicom+json"' in taken
    parameters = {one.attrib["name"] for one in methods["GET"].iter(f"{NAMESPACE}param")}
    assert {"limit", "offset", "includefield", "Accept"} <= parameters


def test_the_same_can_be_had_as_json(client: TestClient) -> None:
    answer = client.options(PREFIX, headers={"accept": "application/json"})
    (resources,) = answer.json()["application"]["resources"]
    assert "studies" in [resource["path"] for resource in resources["resource"]]


def test_another_media_type_is_406(client: TestClient) -> None:
    assert client.options(PREFIX, headers={"accept": "text/html"}).status_code == 406
