"""The operators' windows on people and on the audit trail, and the form that lets operators in.

Operators make accounts, set passwords, suspend and restore; nobody is deleted here and no line of the trail is touched.
Only a superuser gives rights away or changes another superuser: otherwise the right to edit people would be all rights.
"""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm

from accounts import audit
from accounts.clients import origin_of
from accounts.models import AuditEntry, Device, User
from accounts.services import tokens
from accounts.services.login import prove
from accounts.services.suspension import restore, suspend
from chatplatform.kernel.admin import ReadOnly
from chatplatform.kernel.errors import AppError, BadCredentials
from chatplatform.kernel.words import words


class SignInForm(AuthenticationForm):  # type: ignore[misc]
    """The admin's own, which also says when there were too many attempts."""

    @sensitive_variables("password")
    def clean(self) -> Any:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            try:
                self.user_cache = prove(email=username, password=password, origin=origin_of(self.request))
            except BadCredentials:
                raise self.get_invalid_login_error() from None
            except AppError as refusal:
                raise forms.ValidationError(str(refusal.message), code=refusal.code) from None
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


admin.site.login_form = SignInForm


class NewUserForm(UserCreationForm):  # type: ignore[misc]
    """An account made by an operator."""

    class Meta:
        model = User
        fields = ("email", "nickname")


class DeviceInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Where this person is signed in."""

    model = Device
    fields = ("name", "ip", "user_agent", "created_at", "last_seen_at", "expires_at", "revoked_at")
    readonly_fields = fields
    extra = 0


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]
    """People."""

    form, add_form, change_password_form = UserChangeForm, NewUserForm, AdminPasswordChangeForm
    actions = ("suspend_people", "restore_people")
    ordering = ("-created_at",)
    list_display = ("__str__", "nickname", "status", "is_staff", "last_login", "created_at")
    list_filter = ("status", "is_staff")
    search_fields = ("email", "nickname", "=id")
    readonly_fields = ("id", "status", "last_login", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("id", "email", "password", "nickname", "avatar_url", "status")}),
        (words("Rights", "权限"), {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
        (words("Dates", "时间"), {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": (*NewUserForm.Meta.fields, "password1", "password2")}),)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[DeviceInline], ...]:
        return (DeviceInline,) if obj is not None else ()

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        rights = () if request.user.is_superuser else ("is_staff", "is_superuser", "groups", "user_permissions")
        return (*self.readonly_fields, *rights)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not above and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Django asks for it when a form has been saved: the moment to sign out whoever used the old password."""
        if isinstance(form, AdminPasswordChangeForm):
            tokens.revoke_all(user=form.user)
            audit.password_set(form.user, cast(User, request.user), origin_of(request))
        return super().construct_change_message(request, form, formsets, add)

    @admin.action(description=words("Suspend", "停用"), permissions=["change"])
    def suspend_people(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """Shut the chosen people out, at once. Operators cannot shut themselves out."""
        others = [person for person in people if person != request.user and self.has_change_permission(request, person)]
        done = sum(suspend(user=person, by=cast(User, request.user), origin=origin_of(request)) for person in others)
        self.message_user(request, words(f"{done} suspended.", f"已停用 {done} 个账号。"))

    @admin.action(description=words("Restore", "恢复"), permissions=["change"])
    def restore_people(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """Let the chosen people in again."""
        done = sum(restore(user=person, by=cast(User, request.user), origin=origin_of(request)) for person in people)
        self.message_user(request, words(f"{done} restored.", f"已恢复 {done} 个账号。"))


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """The trail, to read."""

    list_display = ("created_at", "action", "user_id", "resource_type", "resource_id", "ip_address")
    list_filter = ("action",)
    search_fields = ("=user_id", "=resource_id", "ip_address")
    date_hierarchy = "created_at"
