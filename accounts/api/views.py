"""Register, log in, and who one is."""

from __future__ import annotations

from django.contrib.auth import authenticate
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema  # noqa: F401  # registers itself
from accounts.api.authentication import InactiveUser, caller
from accounts.api.serializers import (
    LoginSerializer,
    RegistrationSerializer,
    SessionSerializer,
    UserSerializer,
)
from accounts.services import user_register
from accounts.tokens import token_issue
from tradebot.api.views import APIView


class WrongCredentials(APIException):
    """401 without a challenge: there is no token that would help."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = "The e-mail address or the password is wrong."
    default_code = "wrong_credentials"


class RegisterView(APIView):
    """Register a user, who is active at once."""

    authentication_classes = []
    permission_classes = [AllowAny]
    problems = {"POST": (status.HTTP_409_CONFLICT,)}

    @extend_schema(request=RegistrationSerializer, responses={201: UserSerializer})
    def post(self, request: Request) -> Response:
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = user_register(**serializer.validated_data)
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)


class LoginView(APIView):
    """Log in: get a token for the other requests."""

    authentication_classes = []
    permission_classes = [AllowAny]
    problems = {"POST": (status.HTTP_400_BAD_REQUEST, status.HTTP_401_UNAUTHORIZED)}

    @extend_schema(request=LoginSerializer, responses=SessionSerializer)
    def post(self, request: Request) -> Response:
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        now = timezone.now()  # before the user is read: see token_issue()
        # Works as long for an address that nobody has.
        user = authenticate(
            request._request, email=values["email"], password=values["password"]
        )
        if user is None:
            raise WrongCredentials
        if not user.is_active:
            raise InactiveUser
        remember = bool(values["remember_me"])
        token = token_issue(user=user, remember=remember, now=now)
        session = {"access_token": token, "token_type": "bearer", "user": user}
        return Response(SessionSerializer(session).data)


class MeView(APIView):
    """The caller."""

    @extend_schema(responses=UserSerializer)
    def get(self, request: Request) -> Response:
        return Response(UserSerializer(caller(request)).data)
