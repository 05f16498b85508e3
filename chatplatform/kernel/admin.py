"""What several admin pages share."""

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """A window: nothing is added, changed or deleted here. Put it before `ModelAdmin` or an inline."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
