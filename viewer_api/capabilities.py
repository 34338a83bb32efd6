"""The Capabilities Description of the services (PS3.18 Annex H), in WADL or the same as JSON.

It is made of the API's own description, which is made of the routes: it names what there is and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree

from viewer_api.openapi import NOT_OFFERED

WADL: Final = "application/vnd.sun.wadl+xml"
_NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
_METHODS: Final = ("get", "post", "put", "delete", "patch")
_TEMPLATE = re.compile(r"\{(\w+)\}")

JsonObject: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class _Resource:
    """One segment of a path, the operations there, and what lies below."""

    operations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    children: dict[str, _Resource] = field(default_factory=dict)


def describe(description: Mapping[str, Any], prefix: str, base: str) -> JsonObject:
    """Describe what lies below a path, as the tree of a WADL document.

    Parameters
    ----------
    description
        The OpenAPI description of the application.
    prefix
        Where the services are in it.
    base
        Their address for clients.

    Returns
    -------
    dict
        ``application`` as WADL has it: attributes by name, elements of one name in a list.

    References
    ----------
    PS3.18 8.9, Annex H
    """
    root = _Resource()
    for path, operations in description["paths"].items():
        if not path.startswith(prefix + "/"):
            continue
        offered = {
            method: operations[method]
            for method in _METHODS
            if method in operations and NOT_OFFERED not in operations[method].get("tags", ())
        }
        if offered:
            _find(root, path.removeprefix(prefix)).operations.update(offered)
    return {"resources": [{"base": base, "resource": list(_resources(root))}]}


def to_wadl(application: JsonObject) -> bytes:
    """Write a description as a WADL document."""
    element = ElementTree.Element("application", {"xmlns": _NAMESPACE})
    _write(element, application)
    written: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return written


def _find(root: _Resource, path: str) -> _Resource:
    resource = root
    for segment in path.strip("/").split("/"):
        resource = resource.children.setdefault(segment, _Resource())
    return resource


def _resources(parent: _Resource) -> Iterator[JsonObject]:
    for path, resource in parent.children.items():
        written: JsonObject = {"path": path}
        template = _TEMPLATE.fullmatch(path)
        if template:
            written["param"] = [{"name": template[1], "style": "template", "required": "true"}]
        written["method"] = [_method(name, one) for name, one in resource.operations.items()]
        written["resource"] = list(_resources(resource))
        yield {name: value for name, value in written.items() if value}


def _method(name: str, operation: Mapping[str, Any]) -> JsonObject:
    answers = operation["responses"].items()
    accepted = [
        {"value": media_type}
        for status, answer in answers
        if status.startswith("2")
        for media_type in answer.get("content", ())
    ]
    queried = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    request: JsonObject = {"param": [{"name": one, "style": "query"} for one in queried]}
    if accepted:
        header = {"name": "Accept", "style": "header", "default": accepted[0]["value"]}
        request["param"].append({**header, "option": accepted})
    taken = operation.get("requestBody", {}).get("content", ())
    request["representation"] = [{"mediaType": media_type} for media_type in taken]
    return {
        "name": name.upper(),
        "id": operation["summary"].replace(" ", ""),
        "request": [{key: value for key, value in request.items() if value}],
        "response": [_response(status, answer) for status, answer in answers],
    }


def _response(status: str, answer: Mapping[str, Any]) -> JsonObject:
    representations = [{"mediaType": media_type} for media_type in answer.get("content", ())]
    return {"status": status} | ({"representation": representations} if representations else {})


def _write(element: ElementTree.Element, content: JsonObject) -> None:
    for name, value in content.items():
        if isinstance(value, str):
            element.set(name, value)
        else:
            for one in value:
                _write(ElementTree.SubElement(element, name), one)
