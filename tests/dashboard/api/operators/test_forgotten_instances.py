"""An operator forgets an instance that is gone: on the page, through the API and in a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from breakers.cli import application as application_module
from breakers.cli import main, profiles
from breakers.cli.client import Client as ApiClient
from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.bus.memory import MemoryBus
from dashboard.control.instances import forget_instance
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.services import forgotten_instances
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.fleet.state import FleetState
from tests.dashboard.api.operators.conftest import Api
from tests.dashboard.policies.test_as_code import InProcess

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db
NOW = 1000.0


@pytest.fixture(autouse=True)
def fleet() -> Iterator[FleetState]:
    """One instance reports, one has fallen silent."""
    state, snapshot = FleetState(), FleetSnapshot(MemoryBus(), is_running=True)
    for id, at in (("gone", NOW - 60), ("here", NOW)):
        report = wire.Report(
            service="shop", instance=wire.Instance(id), boot="b", seq=1, interval_s=1.0,
            breakers=[wire.BreakerReport(name="posts", state="closed")],
        )  # fmt: skip
        state.fold(report, at, Batch())
    state.advance(NOW)
    for frame in state.full_frames(NOW):
        snapshot.merge(frame)
    before = process.replace(snapshot)
    yield state
    process.replace(before)


def audited() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("act", flat=True))


def test_the_worker_forgets_what_was_asked(operator: Person, fleet: FleetState) -> None:
    forget_instance(operator, "shop", "gone")
    assert forgotten_instances().keys() == {("shop", "gone")}
    assert audited()[-1] == "instance forgotten"
    fleet.forget_instances(forgotten_instances())
    assert fleet.services["shop"].instances.keys() == {"here"}
    (frame,) = fleet.frames(NOW)
    assert frame["removed"]["instances"] == ["gone"]


def test_one_that_reports_again_is_shown_again(fleet: FleetState) -> None:
    fleet.forget_instances({("shop", "gone"): NOW - 61})
    assert "gone" in fleet.services["shop"].instances, "it has reported since"
    fleet.forget_instances({("shop", "gone"): NOW})
    report = wire.Report(
        service="shop", instance=wire.Instance("gone"), boot="b", seq=2, interval_s=1.0
    )
    fleet.fold(report, NOW + 1, Batch())
    fleet.forget_instances({("shop", "gone"): NOW})
    assert "gone" in fleet.services["shop"].instances


@pytest.mark.parametrize(
    ("instance", "why"), [("here", "still reports"), ("nobody", "has no instance")]
)
def test_one_that_reports_or_is_unknown_is_refused(
    operator: Person, instance: str, why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        forget_instance(operator, "shop", instance)
    assert not forgotten_instances()


def test_a_viewer_may_not(viewer: Person) -> None:
    with pytest.raises(PermissionDenied):
        forget_instance(viewer, "shop", "gone")


def test_through_the_api(api_of: ApiOf, operator: Person, viewer: Person) -> None:
    path = "/services/shop/instances/"
    assert api_of(viewer)("DELETE", path + "gone").status_code == 403
    api = api_of(operator)
    assert api("DELETE", path + "here").status_code == 422
    assert api("DELETE", path + "gone").status_code == 204
    assert forgotten_instances().keys() == {("shop", "gone")}


def test_in_a_shell(operator: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(operator, "ci", tuple(SCOPES), ends)
    monkeypatch.setattr(profiles, "load", lambda name: profiles.Profile("http://testserver", raw))
    monkeypatch.setattr(application_module, "Client", lambda chosen: ApiClient(chosen, InProcess()))
    done = CliRunner().invoke(main, ["forget", "shop", "gone"])
    assert (done.exit_code, done.output) == (0, "gone of shop is forgotten\n")
    assert forgotten_instances().keys() == {("shop", "gone")}
    assert CliRunner().invoke(main, ["forget", "shop", "here"]).exit_code == 6


@pytest.mark.usefixtures("static_files")
def test_on_the_page(operator: Person, viewer: Person) -> None:
    client = Client()
    client.force_login(operator)
    assert 'id="forget"' in client.get("/services/shop").content.decode()
    assert client.post("/services/shop/forget", {"instance": "here"}).status_code == 422
    answer = client.post("/services/shop/forget", {"instance": "gone"})
    assert (answer.status_code, answer["Location"]) == (302, "/services/shop")
    assert forgotten_instances().keys() == {("shop", "gone")}
    client.force_login(viewer)
    assert 'id="forget"' not in client.get("/services/shop").content.decode()
