"""What the views of all apps share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from django.db import models
from django.http import Http404, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from msgspec import Raw
from rest_framework import mixins
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView as RestAPIView
from rest_framework.viewsets import GenericViewSet

from tradebot.api.json import ExactJSONRenderer, encode
from tradebot.api.json_rows import OwnedRows, owned_rows
from tradebot.api.pagination import HeaderPagination
from tradebot.api.paths import NO_NUMBER
from tradebot.api.serializers import ModelSerializer, answer_rows

Model = TypeVar("Model", bound=models.Model)


class APIView(RestAPIView):
    """A view that refuses what no login would mend before it asks for one.

    A method that the address does not know is 405, a body that cannot be read 422 (or
    413, 415), with or without a token.
    """

    # The status codes of problems that cannot be told from the operation itself, by
    # method; for the OpenAPI document.
    problems: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    # What does may find it away: 503.
    asks_the_database: ClassVar[bool] = True
    # What comes with others is ignored.
    methods_with_body: ClassVar[tuple[str, ...]] = ("POST", "PUT", "PATCH")
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(request)
        if request.method in self.methods_with_body:
            _ = request.data
        super().initial(request, *args, **kwargs)
        if NO_NUMBER in kwargs.values():
            told = gettext("The id in the path has to be a whole number.")
            raise ValidationError({"id": told}, code="integer")

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        # Tokens and balances are not for the disk of a browser.
        answer.setdefault("Cache-Control", "no-store")
        return answer


class OwnedViewSet(APIView, GenericViewSet[Model]):
    """Views on the caller's own objects: those of others do not exist.

    ``owner`` is the path from the model to its user, ``missing`` the detail of a 404.
    """

    owner: ClassVar[str] = "user"
    missing: ClassVar[str | Promise] = gettext_lazy("You have nothing with this id.")
    pagination_class: type[BasePagination] | None = HeaderPagination

    def get_queryset(self) -> models.QuerySet[Model]:
        return super().get_queryset().filter(**{self.owner: self.request.user})

    def get_object(self) -> Model:
        try:
            return super().get_object()
        except Http404:
            raise NotFound(str(self.missing)) from None


class ListMixin(OwnedViewSet[Model]):
    """List the caller's objects, those that ``filters`` leaves of them."""

    filters: ClassVar[type[Serializer[Any]] | None] = None
    """What the query may ask for: validated fields, whose sources are look-ups."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        statement = None if request.query_params else _owned_rows(type(self))
        if statement is None:
            page = self.page(self.get_queryset())
            return self.get_paginated_response(self.answer(page))
        count, content = statement.read(cast(int, request.user.pk))
        paginator = cast(HeaderPagination, self.paginator)
        if count == paginator.default_limit:  # there may be others
            count = self.get_queryset().count()
        return HttpResponse(
            encode(self.answer(Raw(content))),
            content_type=ExactJSONRenderer.media_type,
            headers=paginator.first_headers(request, count),
        )

    def answer(self, page: Any) -> Any:
        """Return what is answered where the list is ``page``."""
        return page

    def page(self, queryset: models.QuerySet[Model]) -> Any:
        """Return what the query asks for of these objects, as the serializer would."""
        query = self.request.query_params
        if self.filters is not None and query:
            given = {name: text for name, text in query.items() if text}
            asked = self.filters(data=given)
            if not asked.is_valid():
                paginator = cast(HeaderPagination, self.paginator)
                raise ValidationError({**asked.errors, **paginator.errors(query)})
            queryset = queryset.filter(**asked.validated_data)
        serializer = cast(type[ModelSerializer[Model]], self.get_serializer_class())
        columns = serializer.columns()
        if columns is None:
            rows = self.paginate_queryset(queryset)
            return self.get_serializer(rows, many=True).data
        # Without models, whose making would take longer than all the rest.
        paths = [path for path, _ in columns.values()]
        rows = self.paginate_queryset(queryset.values_list(*paths))
        return answer_rows(columns, cast(list[tuple[Any, ...]], rows))


@cache
def _owned_rows(view: type[ListMixin[Any]]) -> OwnedRows | None:
    if view.get_queryset is not OwnedViewSet.get_queryset:  # not all that they own
        return None
    serializer = cast(type[ModelSerializer[Any]], view.serializer_class)
    columns = serializer.columns()
    if columns is None:
        return None
    most = cast(type[HeaderPagination], view.pagination_class).default_limit
    return owned_rows(columns, cast(Any, view.queryset), view.owner, most)


class CRUDViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ListMixin[Model],
):
    """List, create, read, change and delete, with the writes left to services."""

    def get_object(self) -> Model:
        try:
            return super().get_object()
        except NotFound:
            # What is malformed is told first, whatever it is for.
            if self.request.method in self.methods_with_body:
                partial = self.request.method == "PATCH"
                asked = self.get_serializer(data=self.request.data, partial=partial)
                asked.is_valid(raise_exception=True)
            raise

    def create_row(self, values: dict[str, Any]) -> Model:
        raise NotImplementedError

    def update_row(self, row: Model, values: dict[str, Any]) -> Model:
        raise NotImplementedError

    def delete_row(self, row: Model) -> None:
        raise NotImplementedError

    def perform_create(self, serializer: BaseSerializer[Model]) -> None:
        serializer.instance = self.create_row(serializer.validated_data)

    def perform_update(self, serializer: BaseSerializer[Model]) -> None:
        row = cast(Model, serializer.instance)
        serializer.instance = self.update_row(row, serializer.validated_data)

    def perform_destroy(self, instance: Model) -> None:
        self.delete_row(instance)
