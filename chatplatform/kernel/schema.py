"""The API's description, envelope included: views name what they answer, and this says what it travels in."""

from copy import deepcopy
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

META = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": 0} for name in ("page", "limit", "total")},
    "required": ["page", "limit", "total"],
}
# Of a list that is read backwards from a point; a view that answers so names it as its `meta_schema`.
META_BEFORE = {
    "type": "object",
    "properties": {"limit": {"type": "integer", "minimum": 0}, "has_more": {"type": "boolean"}},
    "required": ["limit", "has_more"],
}
# What a view without an answer of its own puts into the envelope.
NULL = {"type": "object", "nullable": True, "enum": [None]}
ERROR = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "enum": [False]},
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object", "additionalProperties": True},
            },
            "required": ["code", "message"],
        },
    },
    "required": ["success", "error"],
}


class EnvelopeSchema(AutoSchema):
    """drf-spectacular's reading of a view, with its JSON answers in our envelope and our one shape of error."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for body in bodies.values():
            json = body.get("content", {}).get("application/json")
            if json is not None:
                json["schema"] = deepcopy(self._enveloped(json.get("schema") or NULL))
        # A copy: the description is rewritten where it stands when it is finished, every time it is made.
        error = ResolvedComponent("Error", ResolvedComponent.SCHEMA, schema=deepcopy(ERROR), object="Error")  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(error)
        return bodies | {
            "default": {
                "description": "Anything that went wrong; `code` says what.",
                "content": {"application/json": {"schema": error.ref}},
            }
        }

    def _enveloped(self, data: dict[str, Any]) -> dict[str, Any]:
        properties: dict[str, Any] = {"success": {"type": "boolean", "enum": [True]}, "data": data}
        if self._is_list_view() and getattr(self.view, "pagination_class", None):
            properties["meta"] = META
        elif (meta := getattr(self.view, "meta_schema", None)) is not None:
            properties["meta"] = meta
        return {"type": "object", "properties": properties, "required": list(properties)}
