"""What Django refuses before a view sees it is answered in plain words that name the setting."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from dashboard.access.models import Person

pytestmark = pytest.mark.usefixtures("static_files")


def test_an_unknown_host_names_the_setting() -> None:
    answer = Client(raise_request_exception=False).get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "SWITCHGEAR_ALLOWED_HOSTS" in answer.content.decode()


def test_an_unknown_origin_names_the_setting_and_gets_no_token(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    headers = {"origin": "https://elsewhere.example"}
    page = client.post("/acts/force-open", headers=headers)
    assert page.status_code == 403
    assert "SWITCHGEAR_TRUSTED_ORIGINS" in page.content.decode()
    script = client.post("/acts/force-open", headers={**headers, "x-requested-with": "fetch"})
    assert script.json()["token"] == ""


def test_a_script_with_an_old_token_gets_a_fresh_one(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    headers = {"x-requested-with": "fetch", "x-csrftoken": "x" * 32}
    refused = client.post("/acts/force-open", headers=headers)
    assert refused.status_code == 403
    token = refused.json()["token"]
    assert re.fullmatch(r"\w{64}", token)
    again = client.post(
        "/acts/force-open", {"targets": "[]"}, headers={**headers, "x-csrftoken": token}
    )
    assert again.status_code == 400


def test_a_page_with_an_old_token_says_what_to_do(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    page = client.post("/acts/force-open").content.decode()
    assert "Load the page again" in page


@pytest.mark.parametrize("path", ["/no/such/page", "/api/v1/nothing", "/services/none/breakers/x"])
def test_a_page_that_is_not_there_tells_nothing_of_the_code(viewer: Person, path: str) -> None:
    client = Client()
    client.force_login(viewer)
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Resolver404" not in answer.content.decode()
    assert "tried" not in answer.content.decode()
