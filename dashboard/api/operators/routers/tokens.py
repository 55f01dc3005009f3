"""Personal tokens of the caller."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from dashboard.access import personal_tokens
from dashboard.access.models import PersonalToken
from dashboard.api.operators.pagination import Cursor, Limit, page
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem, not_found

router = Router(tags=["tokens"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 422, 429), Problem)
Days = Annotated[int, Field(ge=1, le=personal_tokens.LONGEST.days)]


class TokenOut(Schema):
    """A personal token, without its secret."""

    id: int
    name: str
    prefix: str
    scopes: list[str]
    created: datetime
    expires: datetime
    revoked: datetime | None
    last_used: datetime | None
    last_address: str


class CreatedToken(TokenOut):
    """A new token with its secret, which is not shown again."""

    token: str


class TokenPage(Schema):
    items: list[TokenOut]
    next: str | None


class TokenIn(Schema):
    name: str
    scopes: list[str]
    expires_in_days: Days = 90


@router.get("", response={200: TokenPage, **ERRORS}, operation_id="list_tokens")
def list_tokens(request: ApiRequest, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
    """The caller's personal tokens, newest first."""
    request.caller.demand_scope("read")
    return page(request.caller.person.tokens.all(), ("created", "id"), cursor, limit, _token)


@router.post("", response={201: CreatedToken, **ERRORS}, operation_id="create_token")
def create_token(request: ApiRequest, body: TokenIn) -> Status[dict[str, Any]]:
    """Create a personal token. A token cannot create one with more scopes than it has."""
    caller = request.caller
    missing = sorted((set(body.scopes) & set(personal_tokens.SCOPES)) - caller.scopes)
    if caller.token_id is not None and missing:
        wrong = f"This token lacks {', '.join(missing)}."
        raise ApiError(403, "scope", wrong, [("scopes", wrong)])
    token, raw = personal_tokens.create_personal_token(
        caller.person,
        body.name,
        body.scopes,
        timezone.now() + timedelta(days=body.expires_in_days),
    )
    return Status(201, {**_token(token), "token": raw})


@router.delete("/{int:token_id}", response={204: None, **ERRORS}, operation_id="revoke_token")
def revoke_token(request: ApiRequest, token_id: int) -> Status[None]:
    """Revoke one of the caller's tokens."""
    mine = request.caller.person.tokens
    token = mine.filter(pk=token_id).first() if token_id < 2**63 else None
    if token is None:
        raise not_found(f"You have no token {token_id}.")
    personal_tokens.revoke_personal_token(request.caller.person, token)
    return Status(204, None)


def _token(token: PersonalToken) -> dict[str, Any]:
    fields = (
        *("id", "name", "prefix", "scopes", "created", "expires"),
        *("revoked", "last_used", "last_address"),
    )
    return {field: getattr(token, field) for field in fields}
