"""Register, log in, get a new password, and who one is."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import limits, resets
from accounts.api import schema  # noqa: F401  # registers itself
from accounts.api.authentication import InactiveUser, caller
from accounts.api.serializers import (
    ForgottenPasswordSerializer,
    LoginSerializer,
    MessageSerializer,
    PasswordResetSerializer,
    RegistrationSerializer,
    SessionSerializer,
    UserSerializer,
)
from accounts.clients import client_of
from accounts.services import account_of, user_authenticate, user_register
from accounts.tokens import token_issue
from tradebot.api.languages import language_headers
from tradebot.api.views import APIView


class WrongCredentials(APIException):
    """401 without a challenge: there is no token that would help."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = gettext_lazy("The e-mail address or the password is wrong.")
    default_code = "wrong_credentials"


class MailOff(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = gettext_lazy(
        "This server sends no e-mail. Ask its operator to set your password, or to set "
        "EMAIL_URL."
    )
    default_code = "mail_off"


class UselessReset(APIException):
    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = gettext_lazy(
        "This link is not valid or has expired. Ask for another one."
    )
    default_code = "useless_reset"


# What the limits have counted stays counted, whatever becomes of the request.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class LimitedView(APIView):
    """A view for whoever comes, but not as often as they like."""

    authentication_classes = []
    permission_classes = [AllowAny]


class RegisterView(LimitedView):
    """Register a user, who is active at once."""

    problems = {
        "POST": (
            status.HTTP_409_CONFLICT,
            status.HTTP_429_TOO_MANY_REQUESTS,
            status.HTTP_503_SERVICE_UNAVAILABLE,
        )
    }

    @extend_schema(request=RegistrationSerializer, responses={201: UserSerializer})
    def post(self, request: Request) -> Response:
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        client = client_of(request._request)
        limits.take(limits.REGISTRATIONS_OF_CLIENT, client, now=timezone.now())
        user = user_register(**serializer.validated_data)
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)


class LoginView(LimitedView):
    """Log in: get a token for the other requests."""

    problems = {
        "POST": (
            status.HTTP_400_BAD_REQUEST,
            status.HTTP_401_UNAUTHORIZED,
            status.HTTP_429_TOO_MANY_REQUESTS,
            status.HTTP_503_SERVICE_UNAVAILABLE,
        )
    }

    @extend_schema(request=LoginSerializer, responses=SessionSerializer)
    def post(self, request: Request) -> Response:
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        now = timezone.now()  # before the user is read: see token_issue()
        user = user_authenticate(
            email=values["email"],
            password=values["password"],
            client=client_of(request._request),
            now=now,
        )
        if user is None:
            raise WrongCredentials
        if not user.is_active:
            raise InactiveUser
        remember = bool(values["remember_me"])
        token = token_issue(user=user, remember=remember, now=now)
        session = {"access_token": token, "token_type": "bearer", "user": user}
        return Response(SessionSerializer(session).data)


class ForgotPasswordView(LimitedView):
    """Have a link to set a new password mailed to an address.

    The answer is the same whether or not there is an active user with this address.
    """

    problems = {
        "POST": (
            status.HTTP_429_TOO_MANY_REQUESTS,
            status.HTTP_503_SERVICE_UNAVAILABLE,
        )
    }

    @extend_schema(request=ForgottenPasswordSerializer, responses=MessageSerializer)
    def post(self, request: Request) -> Response:
        serializer = ForgottenPasswordSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        email, now = serializer.validated_data["email"], timezone.now()
        client = client_of(request._request)
        limits.take(limits.RESET_MAILS_OF_CLIENT, client, now=now)
        limits.take(limits.RESET_MAILS_OF_ACCOUNT, account_of(email), now=now)
        try:
            resets.reset_request(email=email)
        except resets.MailOffError:
            raise MailOff from None
        message = gettext(
            "If there is an active user with this e-mail address, a link to set a new "
            "password is on its way."
        )
        return Response({"message": message}, headers=language_headers())


class ResetPasswordView(LimitedView):
    """Set a new password with the token of a link that was mailed.

    All access tokens from before are void then.
    """

    problems = {
        "POST": (
            status.HTTP_400_BAD_REQUEST,
            status.HTTP_429_TOO_MANY_REQUESTS,
            status.HTTP_503_SERVICE_UNAVAILABLE,
        )
    }

    @extend_schema(request=PasswordResetSerializer, responses=MessageSerializer)
    def post(self, request: Request) -> Response:
        serializer = PasswordResetSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values, now = serializer.validated_data, timezone.now()
        limits.take(limits.RESETS_OF_CLIENT, client_of(request._request), now=now)
        try:
            resets.reset_finish(
                token=values["token"], password=values["new_password"], now=now
            )
        except resets.ResetTokenError:
            raise UselessReset from None
        except resets.ResetInactiveError:
            raise InactiveUser from None
        message = gettext("The new password is set. Log in with it.")
        return Response({"message": message}, headers=language_headers())


class MeView(APIView):
    """The caller."""

    @extend_schema(responses=UserSerializer)
    def get(self, request: Request) -> Response:
        user = caller(request)
        # Not by the serializer, whose making takes longer than all the rest.
        return Response(
            {"id": user.pk, "email": user.email, "is_active": user.is_active}
        )
