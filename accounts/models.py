"""Users, who log in with their e-mail address, and how often somebody has tried to."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import (
    AbstractBaseUser,
    BaseUserManager,
    PermissionsMixin,
)
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.emails import normalize_address
from accounts.fields import PasswordHashField
from accounts.hashers import MAX_BYTES, BcryptPasswordHasher, algorithm_of
from tradebot.fields import TransactionNow


class UserManager(BaseUserManager["User"]):
    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Store a user; ``password`` is hashed, None means that none will do.

        Raises ValidationError for what is no e-mail address.
        """
        user = self.model(email=normalize_address(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        return self.create_user(
            email, password, **{"is_staff": True, "is_superuser": True, **fields}
        )

    def with_email(self, email: str) -> models.QuerySet[User]:
        """Return the users of this e-mail address, whatever its case: one at most."""
        # As in the unique index, which is not used for iexact.
        lower = Lower(models.Value(email))
        return self.alias(lower=Lower("email")).filter(lower=lower)

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user of this e-mail address, whatever its case.

        Raises User.DoesNotExist.
        """
        return self.with_email(username or "").get()


class User(AbstractBaseUser, PermissionsMixin):
    id = models.AutoField(primary_key=True)
    # Not EmailField, whose column has a length.
    email = models.CharField("e-mail address")
    password = PasswordHashField("password", db_column="hashed_password")
    is_active = models.BooleanField("active", default=True, db_default=True)
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())
    # SHA-256 of the token in an open password reset, as hexadecimal digits.
    reset_token = models.CharField(null=True, blank=True, editable=False)
    reset_token_expires = models.DateTimeField(null=True, blank=True, editable=False)
    # The whole second after it, since tokens count in whole seconds: what was issued
    # before that is void. Null where only the old program has ever set one.
    password_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_staff = models.BooleanField(
        "staff",
        default=False,
        db_default=False,
        help_text="May log in to this admin site.",
    )
    is_superuser = models.BooleanField(
        "superuser",
        default=False,
        db_default=False,
        help_text="Has all permissions without being given them one by one.",
    )

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        db_table = "users"
        verbose_name = "user"
        indexes = [
            models.Index(
                fields=["reset_token"],
                condition=models.Q(reset_token__isnull=False),
                name="users_reset_token",
            )
        ]
        constraints = [
            # The operator class, which is the default one, makes Django write a
            # unique index, as documented, instead of a constraint.
            models.UniqueConstraint(
                fields=["email"],
                name="ix_users_email",
                opclasses=["text_ops"],
                violation_error_message="A user with this e-mail address exists.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="users_email_lower",
                violation_error_message="A user with this e-mail address exists.",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self._void_what_was_issued()

    def set_unusable_password(self) -> None:
        super().set_unusable_password()
        self._void_what_was_issued()

    def check_password(self, raw_password: str | None) -> bool:
        """Say whether the password is right; hash it in the chosen way where it is."""

        def upgrade(password: str) -> None:
            bcrypt = algorithm_of(self.password) == BcryptPasswordHasher.algorithm
            if bcrypt and len(password.encode()) >= MAX_BYTES:
                return  # its first bytes may be all that was typed: a prefix
            old, self.password = self.password, make_password(password)
            # Not where somebody has changed the password since it was read.
            User.objects.filter(pk=self.pk, password=old).update(password=self.password)

        return check_password(raw_password, self.password, upgrade)

    def _void_what_was_issued(self) -> None:
        """End open resets, and all tokens that were issued up to now."""
        self.reset_token = self.reset_token_expires = None
        second = timezone.now().replace(microsecond=0)
        # Later than the time before, also for two changes in one second.
        last = max(second, self.password_changed_at or second)
        self.password_changed_at = last + dt.timedelta(seconds=1)


class RateLimit(models.Model):
    """How often one client or account has tried one thing; see ``accounts.limits``."""

    # A keyed digest: no address of anybody.
    key = models.CharField(primary_key=True, max_length=64)
    tries = models.PositiveIntegerField()
    # Unix seconds.
    ends = models.BigIntegerField()

    class Meta:
        db_table = "rate_limits"
        default_permissions = ()
        indexes = [models.Index(fields=["ends"], name="rate_limits_ends")]

    def __str__(self) -> str:
        return f"{self.tries} tries"
