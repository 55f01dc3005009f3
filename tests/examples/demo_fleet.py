"""The running demo's fleet as tests of its policies see it."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import httpx
import msgspec

from examples.shop.fleet import Addresses
from tests.examples.running import eventually, http

POSTS = "/services/profile-api/breakers/posts/policy"


class Operator:
    """A person who is signed in to the demo's dashboard."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, follow_redirects=True, timeout=30)
        page = self._http.get("/")
        form = {"login": name, "password": password}
        self._http.post(str(page.url), data={**form, **self._token()}).raise_for_status()

    def _token(self) -> dict[str, str]:
        return {"csrfmiddlewaretoken": self._http.cookies["csrftoken"]}

    def page(self, path: str) -> str:
        """A page, as text."""
        return html.unescape(self._http.get(path).raise_for_status().text)

    def post(self, path: str, **fields: Any) -> str:
        """The answer to a form that began from the newest version."""
        base = re.search(r'name="base" value="(\d+)"', self.page(path))
        return self.send(path, base=base[1] if base else "", **fields)

    def send(self, path: str, **fields: Any) -> str:
        """The answer to a form."""
        data = {**self._token(), **fields}
        return html.unescape(self._http.post(path, data=data).raise_for_status().text)

    def field(self, path: str, name: str) -> str:
        """The value of a hidden field on a page."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page(path))
        assert found, f"{path} has no field {name}"
        return found[1]

    def close(self) -> None:
        self._http.close()


class ProfileApis:
    """The instances of profile-api, each at its own address."""

    def __init__(self, directory: Path) -> None:
        path = directory / "shop.json"
        at = msgspec.json.decode(eventually(path.read_bytes, 20.0), type=Addresses)
        self.addresses = at.peers["profile-api"]

    def cut_off(self, *numbers: int) -> None:
        """Exactly these instances cannot reach posts."""
        for number, base in enumerate(self.addresses):
            names = ["posts"] if number in numbers else []
            http.put(f"{base}/unreachable", content=msgspec.json.encode(names)).raise_for_status()

    def posts(self, number: int) -> dict[str, Any]:
        """The breaker of posts, as one instance has it."""
        found = http.get(f"{self.addresses[number]}/breakers").json()
        return next(each for each in found if each["name"] == "posts")

    def states(self) -> list[str]:
        return [self.posts(number)["state"] for number in range(len(self.addresses))]
