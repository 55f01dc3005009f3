"""The page of drills, as a browser without scripts meets it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.control.models import Drill, DrillRun, Override
from tests.dashboard.web.showing import showing

pytestmark = pytest.mark.usefixtures("static_files", "db")
GOOD = {
    "name": "slow posts", "service": "shop", "breaker": "posts", "kind": "latency",
    "share": "30", "latency_s": "2", "seconds": "60", "instances": "web-1, web-2",
}  # fmt: skip


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_a_drill_is_saved_run_and_stopped(client: Client) -> None:
    assert client.post("/drills", GOOD).status_code == 302
    drill = Drill.objects.get()
    assert (drill.share, drill.latency_s, drill.instances) == (0.3, 2.0, ["web-1", "web-2"])
    page = client.get("/drills").content.decode()
    assert "slow posts" in page
    assert "30%" in page
    answer = client.post(f"/drills/{drill.pk}/run", {"reason": "game day"})
    run = DrillRun.objects.get()
    assert answer["Location"] == f"/drills/runs/{run.pk}"
    assert "No instance has obeyed" in client.get(f"/drills/runs/{run.pk}").content.decode()
    assert client.post(f"/drills/runs/{run.pk}/stop").status_code == 302
    assert "Stopped by operator" in client.get(f"/drills/runs/{run.pk}").content.decode()


def test_what_is_wrong_is_told(client: Client) -> None:
    answer = client.post("/drills", {**GOOD, "share": "0"})
    assert answer.status_code == 422
    assert "no share of the calls" in answer.content.decode()
    client.post("/drills", GOOD)
    answer = client.post(f"/drills/{Drill.objects.get().pk}/run", {"reason": " "})
    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()
    assert not DrillRun.objects.exists()


def test_the_kill_path_is_drilled_from_the_page(client: Client) -> None:
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "closed"))
        assert "never" in client.get("/drills").content.decode()
        assert client.post("/drills/kill-path/shop").status_code == 302
        assert Override.objects.get().instances == ["one"]
        waiting = client.get("/drills").content.decode()
        Override.objects.update(expires=timezone.now())
        over = client.get("/drills").content.decode()
    assert "0 of 1" in waiting
    assert "waiting for one" in waiting
    assert "<b>one</b>: no answer" in over


def test_a_viewer_sees_drills_and_runs_none(client: Client, viewer: Person) -> None:
    client.post("/drills", GOOD)
    client.force_login(viewer)
    page = client.get("/drills").content.decode()
    assert "slow posts" in page
    assert "<button" not in page[page.index("<main") :]
    assert client.post(f"/drills/{Drill.objects.get().pk}/run", {"reason": "x"}).status_code == 403


def test_an_unknown_run_is_not_found(client: Client) -> None:
    assert client.get("/drills/runs/nonsense").status_code == 404
