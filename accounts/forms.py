"""Forms of the admin for users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.hashers import is_password_usable
from django.core.exceptions import ValidationError
from django.utils.safestring import mark_safe
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from accounts.emails import normalize_address
from accounts.models import User


class PasswordStateWidget(auth_forms.ReadOnlyPasswordHashWidget):
    """Whether there is a password: no algorithm, no salt, no part of the hash."""

    def get_context(
        self, name: str, value: Any, attrs: dict[str, Any] | None
    ) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        is_set = value and is_password_usable(value)
        label = "A password is set." if is_set else "No password is set."
        return {**context, "summary": [{"label": label}]}


class UserCreationForm(auth_forms.BaseUserCreationForm):
    """An e-mail address and, twice, a password that the policy accepts."""

    class Meta:
        model = User
        fields = ("email",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("password1", "password2"):
            self.fields[name].widget = UnfoldAdminPasswordWidget(
                {"autocomplete": "new-password"}
            )

    def clean_email(self) -> str:
        return _checked_email(self)


class UserChangeForm(auth_forms.UserChangeForm):
    password = auth_forms.ReadOnlyPasswordHashField(
        label="Password",
        widget=PasswordStateWidget,
        help_text=mark_safe(  # nothing of it is anyone's input
            "Passwords are stored as hashes; there is no way to see one. "
            '<a href="../password/" class="link">Set another one</a>.'
        ),
    )
    # A checkbox, where a nullable field would offer "Unknown": null means inactive.
    is_active = forms.BooleanField(
        label="Active",
        required=False,
        help_text="Only active users can log in.",
        widget=UnfoldBooleanSwitchWidget,
    )

    class Meta:
        model = User
        fields = "__all__"

    def clean_email(self) -> str:
        return _checked_email(self)


def _checked_email(form: forms.ModelForm[User]) -> str:
    """Return the address to store.

    Raises ValidationError where another user has it, whatever its case. An address
    that was not edited stays as it is: the old program let some differ by case alone.
    """
    email: str = form.cleaned_data["email"]
    if "email" not in form.changed_data:
        return email
    email = normalize_address(email)
    others = User.objects.filter(email__iexact=email).exclude(pk=form.instance.pk)
    if others.exists():
        raise ValidationError("A user with this e-mail address exists.", code="unique")
    return email
