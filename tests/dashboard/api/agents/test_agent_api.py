"""The agents' door, over real sockets: by agents, and by who would like to be one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, MSGPACK, Codec
from tests.dashboard.api.agents.talking import closing, counted, hear, report, say, socket
from tests.dashboard.child_process import Dashboard
from tests.examples.running import eventually


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
class TestSocket:
    def test_the_desired_state_follows_the_first_report_and_a_receipt_when_it_is_safe(
        self, dashboard: Dashboard, token: str, codec: Codec
    ) -> None:
        boot = f"socket-{codec.name}"
        with socket(dashboard, token, codec) as opened:
            assert opened.subprotocol == codec.subprotocol
            say(opened, report(1, boot), codec)
            # Two tasks write: which of them is first is not promised.
            first = {type(hear(opened, codec)) for _ in range(2)}
            assert first == {wire.Desired, wire.Received}
            say(opened, report(2, boot), codec)
            while hear(opened, codec) != wire.Received(boot, 2):
                pass
        assert counted(dashboard, boot) == [2]

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"seq": -1}, 4400, "$.seq"),
            ({"seq": "one"}, 4400, "$.seq"),
            ({"interval_s": 0}, 4400, "$.interval_s"),
            ({"instance": {}}, 4400, "$.instance.id"),
            ({"breakers": [{"name": "posts"}]}, 4400, "$.breakers[0].state"),
            (
                {"breakers": [{"name": "x", "state": "closed", "counts": {"success": -5}}]},
                4400,
                "$.breakers[0].counts.success",
            ),
            ({"breakers": [{"name": "\n", "state": "closed"}]}, 4400, "$.breakers[0].name"),
            ({"breakers": [{"name": "x", "state": "ajar"}]}, 4400, "$.breakers[0].state"),
            ({"type": "deport"}, 4400, "$.type"),
            ({"v": 2}, 4406, "$.v"),
            ({"service": "bank"}, 4403, "$.service"),
        ],
    )
    def test_a_bad_report_is_refused_with_the_field_and_harms_nobody_else(
        self,
        dashboard: Dashboard,
        token: str,
        codec: Codec,
        changes: dict[str, Any],
        code: int,
        field: str,
    ) -> None:
        with socket(dashboard, token, codec) as good, socket(dashboard, token, codec) as bad:
            say(bad, report(**changes), codec)
            refused = hear(bad, codec)
            assert isinstance(refused, wire.Refused)
            assert refused.field == field
            assert closing(bad) == code
            boot = f"good-{codec.name}-{field}-{code}"
            say(good, report(1, boot), codec)
            assert isinstance(hear(good, codec), wire.Desired)
            assert hear(good, codec) == wire.Received(boot, 1)


class TestSocketHostility:
    def test_garbage_is_refused(self, dashboard: Dashboard, token: str) -> None:
        for garbage in (b"\xc1", b"\x91" * 50_000, b"", b"{"):
            with socket(dashboard, token, MSGPACK) as opened:
                opened.send(garbage)
                assert isinstance(hear(opened, MSGPACK), wire.Refused)

    def test_depth_is_refused(self, dashboard: Dashboard, token: str) -> None:
        deep = '{"a":' * 50_000 + "1" + "}" * 50_000
        with socket(dashboard, token) as opened:
            opened.send(json.dumps(report())[:-1] + f', "extra": {deep}}}')
            assert isinstance(hear(opened), wire.Refused | wire.Received)

    def test_more_than_a_mebibyte_is_refused(self, dashboard: Dashboard, token: str) -> None:
        with socket(dashboard, token) as opened:
            opened.send(json.dumps(report(extra="x" * wire.MAX_MESSAGE_BYTES)))
            assert closing(opened) == 1009

    def test_a_deflated_bomb_is_refused_before_it_is_unpacked(
        self, dashboard: Dashboard, token: str
    ) -> None:
        with socket(dashboard, token, compression="deflate") as opened:
            opened.send(" " * 50_000_000)
            assert closing(opened) == 1009

    @pytest.mark.parametrize("wrong", ["", "short", "swg_" + "x" * 43, "ü" * 40])
    def test_without_a_good_token_there_is_no_socket(
        self, dashboard: Dashboard, wrong: str
    ) -> None:
        with (
            pytest.raises(InvalidStatus) as refused,
            socket(dashboard, wrong.encode().decode("latin-1")),
        ):
            pytest.fail("was let in")
        answer = refused.value.response
        assert answer.status_code == 401
        assert json.loads(answer.body or b"{}")["field"] == "Authorization"

    def test_an_unknown_subprotocol_is_told_the_known_ones(
        self, dashboard: Dashboard, token: str
    ) -> None:
        url = dashboard.url.replace("http", "ws", 1) + "/agent/v1"
        headers = {"Authorization": f"Bearer {token}"}
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(url, additional_headers=headers, subprotocols=["switchgear.v9"]),  # type: ignore[list-item]
        ):
            pytest.fail("was let in")
        assert b"switchgear.v1.msgpack" in (refused.value.response.body or b"")

    def test_a_revoked_token_ends_its_open_sockets(self, dashboard: Dashboard) -> None:
        revoked = dashboard.token("shop")
        with socket(dashboard, revoked) as opened:
            dashboard.python(
                "from dashboard.access.models import ServiceToken\n"
                "from dashboard.access.service_tokens import revoke_token\n"
                f"revoke_token(ServiceToken.objects.get(prefix='{revoked[:12]}'), None)\n"
                "print('true')"
            )
            assert closing(opened) == 4401


def test_an_override_reaches_the_agent_and_its_answer_is_kept(
    dashboard: Dashboard, token: str
) -> None:
    with socket(dashboard, token) as opened:
        say(opened, report(1, "acting"))
        hear(opened)
        hear(opened)
        id = dashboard.python(
            "from dashboard.access.people import keep_person\n"
            "from tests.operator_actions import force\n"
            "ops = keep_person('ops', 'operator')\n"
            "o = force(ops, 'shop', 'posts', 'forced_open', 'a drill', 60, ['one'])\n"
            "print(json.dumps(o.id))"
        )
        desired = hear(opened)
        assert isinstance(desired, wire.Desired)
        (override,) = desired.overrides
        assert (override.id, override.state, override.instances) == (id, "forced_open", ["one"])
        assert override.expires_in_s is not None
        assert 40 < override.expires_in_s <= 60
        items = [{"kind": "override", "breaker": "posts", "status": "applied", "id": id}]
        ack = {"type": "ack", "service": "shop", "instance": "one", "items": items}
        say(opened, {**ack, "revision": desired.revision})
        kept = (
            "from dashboard.control.models import Ack\n"
            f"print(json.dumps(list(Ack.objects.filter(override='{id}').values_list('status'))))"
        )
        eventually(lambda: dashboard.python(kept) == [["applied"]], 10)
        dashboard.python(
            "from dashboard.access.models import Person\n"
            "from tests.operator_actions import lift\n"
            "lift(Person.objects.get(username='ops'), 'shop', 'posts', 'over')\n"
            "print('true')"
        )
        lifted = hear(opened)
        assert isinstance(lifted, wire.Desired)
        assert lifted.overrides == []
        assert lifted.revision > desired.revision


def test_a_token_of_one_service_is_not_told_the_desired_state_of_another(
    dashboard: Dashboard, token: str
) -> None:
    """A token rules another service: an agent that names a service which is not the token's is
    refused before any desired state is sent."""
    with socket(dashboard, token) as opened:
        say(opened, report(1, "b", service="bank"))
        refused = hear(opened)
        assert isinstance(refused, wire.Refused)
        assert refused.code == "forbidden"
        assert closing(opened) == 4403
