"""The admin of users. Staff are in the hands of superusers alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm

from accounts.forms import UserChangeForm, UserCreationForm
from accounts.models import User
from accounts.services import user_delete
from tradebot.adminsite.actions import confirmation
from tradebot.adminsite.base import ModelAdmin
from tradebot.adminsite.filters import DateRangeFilter
from tradebot.errors import ConflictError

_PERMISSIONS = ("is_staff", "is_superuser", "groups", "user_permissions")


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ModelAdmin, auth_admin.GroupAdmin):
    """Groups, for superusers: whoever edits one gives permissions, also to himself."""

    def _is_superuser(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    has_module_permission = _is_superuser
    has_view_permission = _is_superuser
    has_add_permission = _is_superuser
    has_change_permission = _is_superuser
    has_delete_permission = _is_superuser


@admin.register(User)
class UserAdmin(ModelAdmin, auth_admin.UserAdmin):
    """Users, without what would let one become another: hashes and reset tokens."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    add_form_template = None  # Django's asks whether there shall be a password
    list_display = (
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "last_login",
        "created_at",
        "updated_at",
    )
    list_filter = (
        "is_active",
        "is_staff",
        "is_superuser",
        ("created_at", DateRangeFilter),
        ("last_login", DateRangeFilter),
    )
    actions = ("activate", "deactivate")
    search_fields = ("email",)
    ordering = ("email",)
    date_hierarchy = "created_at"
    readonly_fields = ("last_login", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Permissions", {"fields": ("is_active", *_PERMISSIONS)}),
        ("Dates", {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> list[str] | tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        # Or those who may edit users could make themselves superusers.
        return fields if request.user.is_superuser else (*fields, *_PERMISSIONS)

    def has_change_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)

    def save_model(
        self, request: HttpRequest, obj: models.Model, form: Any, change: bool
    ) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        # The user may be changing their password at this moment: to save the columns
        # that were not edited would undo that.
        columns = {field.name for field in obj._meta.concrete_fields}
        edited = columns.intersection(form.changed_data)
        if "email" in edited and isinstance(obj, User):
            # A link was mailed to who had the address before.
            obj.reset_token = obj.reset_token_expires = None
            edited |= {"reset_token", "reset_token_expires"}
        obj.save(update_fields=[*edited, "updated_at"])

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        user_delete(user=obj)

    @admin.action(description="Activate selected users", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        self._set_active(request, queryset.exclude(is_active=True), True)

    @admin.action(description="Deactivate selected users", permissions=["change"])
    def deactivate(
        self, request: HttpRequest, queryset: models.QuerySet[User]
    ) -> HttpResponse | None:
        active = queryset.filter(is_active=True)
        question = (
            "Deactivate these users? They can log in no more, and their tokens are "
            "refused from now on. Their bots keep running."
        )
        if page := confirmation(self, request, active, question):
            return page
        self._set_active(request, active, False)
        return None

    def _set_active(
        self, request: HttpRequest, rows: models.QuerySet[User], is_active: bool
    ) -> None:
        """Change users and log it; none of them where one is not to be touched."""
        users = list(rows.select_for_update())
        kept = [user for user in users if not _may_touch(request, user)]
        if not is_active and request.user in users:
            kept.append(request.user)  # who would be locked out
        if kept:
            names = ", ".join(user.email for user in kept)
            raise ConflictError(
                f"You cannot change {names}. Select the others only; nothing was done."
            )
        for user in users:
            user.is_active = is_active
            user.save(update_fields=["is_active", "updated_at"])
            self.log_change(request, user, [{"changed": {"fields": ["Active"]}}])
        done = "Activated" if is_active else "Deactivated"
        self.message_user(request, f"{done}: {len(users)}.", messages.SUCCESS)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # ?reset_token__startswith=… would tell the token digit by digit.
        return not lookup.startswith("reset_token") and super().lookup_allowed(
            lookup, value, request
        )


def _may_touch(request: HttpRequest, obj: models.Model | None) -> bool:
    """Say whether the one who asks may edit this user: whoever can set the password
    of a superuser is one.
    """
    if request.user.is_superuser or not isinstance(obj, User):
        return True
    return not (obj.is_staff or obj.is_superuser)
