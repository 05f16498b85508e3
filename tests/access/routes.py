"""What the server answers to, read from its URLconf: every route, what serves it and with which methods."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.views import APIView

# HEAD is answered as GET is, OPTIONS and TRACE by the framework; they are asked apart from the others.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """One pattern of the URLconf, such as `/api/v1/sessions/<uuid:session_id>`."""

    pattern: str
    name: str
    view: Any
    parameters: tuple[str, ...]

    @cached_property
    def view_class(self) -> Any:
        """The class behind the view, of ours or Django's; None for a function."""
        return getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)

    @property
    def is_rest(self) -> bool:
        """Whether it is a view of the REST framework, with its authentication and permissions."""
        return isinstance(self.view_class, type) and issubclass(self.view_class, APIView)

    @property
    def is_admin(self) -> bool:
        return self.pattern.startswith("/admin/")

    def methods(self) -> list[str]:
        """What the class behind it answers to."""
        taken = self.view_class.http_method_names
        return [method for method in METHODS if method.lower() in taken and hasattr(self.view_class, method.lower())]

    def path(self, ids: dict[str, Any]) -> str:
        """Its address with these ids in it."""
        path = self.pattern
        for name in self.parameters:
            start = path.index("<", 0)
            path = path[:start] + str(ids[name]) + path[path.index(">", start) + 1 :]
        return path


def _walk(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for found in resolver.url_patterns:
        pattern = prefix + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from _walk(found, pattern)
        elif isinstance(found, URLPattern):
            parameters = tuple(getattr(found.pattern, "converters", {}))
            yield Route(pattern, found.name or "", found.callback, parameters)


def all_routes() -> list[Route]:
    """Every route of the server."""
    return list(_walk(get_resolver(), "/"))


def by_pattern() -> dict[str, Route]:
    """The same, by pattern."""
    return {route.pattern: route for route in all_routes()}


@cache
def description() -> dict[str, Any]:
    """The API's description, as `/api/v1/schema` gives it out."""
    return dict(SchemaGenerator().get_schema(request=None, public=True))


def described() -> dict[tuple[str, str], dict[str, Any]]:
    """What the description says of each method of each route."""
    patterns = {re.sub(r"<\w+:(\w+)>", r"{\1}", route.pattern): route.pattern for route in all_routes()}
    return {
        (method.upper(), patterns[path]): operation
        for path, operations in description()["paths"].items()
        for method, operation in operations.items()
    }


def fields_taken(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of the body that an operation takes, as it is described."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return dict(description()["components"]["schemas"][name]["properties"])
