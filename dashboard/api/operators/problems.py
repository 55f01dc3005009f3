"""Errors as `application/problem+json` (RFC 9457), naming the field that is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as RequestValidationError

CONTENT_TYPE: Final = "application/problem+json"


class FieldError(Schema):
    """What is wrong with one field of the request."""

    field: str
    detail: str


class Problem(Schema):
    """An error. `code` is stable; `errors` names each field that is wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []


class ApiError(Exception):
    """An error to answer with.

    `headers` are added to the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def response(self) -> HttpResponse:
        """The response of this error."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": [{"field": field, "detail": detail} for field, detail in self.errors],
        }
        response = HttpResponse(json.dumps(body), CONTENT_TYPE, self.status)
        for name, value in self.headers.items():
            response[name] = value
        return response


def invalid_document(error: DjangoValidationError) -> ApiError:
    """What is wrong with a document, by path."""
    if hasattr(error, "error_dict"):
        fields = [(name, "; ".join(each)) for name, each in error.message_dict.items()]
    else:
        fields = [("document", message) for message in error.messages]
    detail = "; ".join(f"{name}: {message}" for name, message in fields)
    return ApiError(422, "invalid", detail[:2000], fields)


def unauthenticated(detail: str = "Send a personal token: Authorization: Bearer …") -> ApiError:
    """The error of a request without a valid token or session."""
    return ApiError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def not_found(detail: str) -> ApiError:
    """The error of a resource that does not exist, or that the caller may not see."""
    return ApiError(404, "not_found", detail)


def invalid(errors: Mapping[str, Sequence[str]]) -> ApiError:
    """The error of invalid fields."""
    named = [
        ("" if field == NON_FIELD_ERRORS else field, text)
        for field, texts in errors.items()
        for text in texts
    ]
    detail = "; ".join(f"{field}: {text}" if field else text for field, text in named)
    return ApiError(422, "invalid", detail or "The request is invalid.", named)


def register(api: NinjaAPI) -> None:
    """Answer every exception of the operations with a problem."""
    handlers: dict[type[Exception], Any] = {
        ApiError: lambda request, error: error.response(),
        RequestValidationError: _request_invalid,
        DjangoValidationError: _rejected,
        PermissionDenied: _forbidden,
        Http404: _missing,
        AuthenticationError: lambda request, error: unauthenticated().response(),
        HttpError: _http_error,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _request_invalid(request: HttpRequest, error: RequestValidationError) -> HttpResponse:
    named: dict[str, list[str]] = {}
    for each in error.errors:
        # The location begins with where the field was: body, query, path, header.
        where = [str(part) for part in each["loc"]]
        field = ".".join(where[2:] if where[:1] == ["body"] and len(where) > 2 else where[1:])
        named.setdefault(field, []).append(each["msg"])
    return invalid(named).response()


def _rejected(request: HttpRequest, error: DjangoValidationError) -> HttpResponse:
    if hasattr(error, "error_dict"):
        return invalid(error.message_dict).response()
    return invalid({"": error.messages}).response()


def _forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return ApiError(403, "forbidden", str(error) or "You may not do this.").response()


def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return not_found(str(error) or "There is no such resource.").response()


def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return ApiError(error.status_code, code, error.message).response()
