"""A client of the REST API: retries what is safe to repeat, and raises errors with exit codes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx

from breakers.cli import exit_codes
from breakers.cli.profiles import Profile

# For slow links; a write is retried too, under one idempotency key.
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
ATTEMPTS: Final = 3
_RETRIED: Final = frozenset({502, 503, 504})


class CliError(Exception):
    """An error to show, with its exit code. `fields` names what is wrong by field, and `problem` is
    the stable code of the API."""

    def __init__(
        self, message: str, code: int, fields: dict[str, str] | None = None, problem: str = ""
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.code = code
        self.fields = fields or {}


def segment(name: str) -> str:
    """A name of a service or breaker in a path: quoted twice, because it may contain a slash."""
    return quote(quote(name, safe=""), safe="")


class Client:
    """Requests of one profile."""

    def __init__(self, profile: Profile, transport: httpx.BaseTransport | None = None) -> None:
        self.profile = profile
        headers = {"Accept": "application/json", "User-Agent": "switchgear-cli"}
        if profile.token:
            headers["Authorization"] = f"Bearer {profile.token}"
        self._http = httpx.Client(
            base_url=profile.url.rstrip("/") + "/api/v1",
            headers=headers,
            timeout=TIMEOUT,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a resource."""
        return self._request("GET", path, params={k: v for k, v in query.items() if v is not None})

    def pages(self, path: str, limit: int | None = None, **query: Any) -> Iterator[Any]:
        """The items of a collection, page after page."""
        cursor, left = "", limit
        while True:
            size = 200 if left is None else min(left, 200)
            found = self.get(path, cursor=cursor or None, limit=size, **query)
            yield from found["items"]
            left = None if left is None else left - len(found["items"])
            cursor = found["next"] or ""
            if not cursor or (left is not None and left <= 0):
                return

    def write(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Perform a write once, however often it is sent."""
        named = {"Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
        return self._request(method, path, json=body, headers=named)

    def get_by_post(self, path: str, body: Any) -> Any:
        """Ask for what must not stand in an address. It is sent anew each time, under no key."""
        return self._request("POST", path, json=body)

    def stream(self, path: str, last_id: str = "") -> Iterator[str]:
        """The lines of an event stream."""
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            with self._http.stream(
                "GET", path, headers=headers, timeout=httpx.Timeout(60.0, connect=10.0)
            ) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _error(response)
                yield from response.iter_lines()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _request(self, method: str, path: str, **options: Any) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.request(method, path, **options)
            except httpx.InvalidURL as error:
                raise CliError(str(error), exit_codes.USAGE) from None
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise self._unreachable(error) from None
            else:
                in_progress = response.status_code == 409 and "in_progress" in response.text
                if attempt == ATTEMPTS or not (response.status_code in _RETRIED or in_progress):
                    return _result(response)
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _unreachable(self, error: httpx.HTTPError) -> CliError:
        why = str(error) or type(error).__name__
        return CliError(f"{self.profile.url} does not answer: {why}", exit_codes.UNREACHABLE)


def _result(response: httpx.Response) -> Any:
    if response.status_code >= 400:
        raise _error(response)
    if response.status_code == 204 or not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        wrong = f"{response.url} is not a Switchgear API: it answered with no JSON"
        raise CliError(wrong, exit_codes.FAILED) from None


def _error(response: httpx.Response) -> CliError:
    code = exit_codes.BY_STATUS.get(response.status_code, exit_codes.FAILED)
    try:
        problem = response.json()
        fields = {each["field"]: each["detail"] for each in problem.get("errors", [])}
        return CliError(problem["detail"], code, fields, str(problem.get("code", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return CliError(f"{response.status_code} {response.reason_phrase}", code)
