"""Reports over HTTP, over real sockets."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from tests.dashboard.api.agents.talking import counted, post, report
from tests.dashboard.child_process import Dashboard
from tests.examples.running import http


class TestHttp:
    def test_a_report_is_answered_with_the_desired_state_once_it_is_safe(
        self, dashboard: Dashboard, token: str
    ) -> None:
        answer = post(dashboard, token, report(7, "http"))
        assert answer.status_code == 200
        assert answer.headers["switchgear-received"] == "7"
        assert isinstance(JSON.from_server(answer.content), wire.Desired)
        assert counted(dashboard, "http") == [7]

    def test_the_same_report_twice_is_counted_once(self, dashboard: Dashboard, token: str) -> None:
        breakers = [{"name": "twice", "state": "closed", "counts": {"success": 11}}]
        for _ in range(3):
            assert post(dashboard, token, report(1, "twice", breakers=breakers)).is_success
        total = dashboard.python(
            "from dashboard.history.models import Rollup\n"
            "rows = Rollup.objects.filter(breaker='twice').values_list('success', flat=True)\n"
            "print(json.dumps(sum(rows)))"
        )
        assert total == 11

    def test_reports_that_overtake_each_other_are_all_counted(
        self, dashboard: Dashboard, token: str
    ) -> None:
        breakers = [{"name": "overtaken", "state": "closed", "counts": {"success": 1}}]
        for seq in (1, 4, 2, 2, 3, 4, 1):
            answer = post(dashboard, token, report(seq, "overtaken", breakers=breakers))
            assert answer.headers["switchgear-received"] == str(seq)
        total = dashboard.python(
            "from dashboard.history.models import Rollup\n"
            "rows = Rollup.objects.filter(breaker='overtaken').values_list('success', flat=True)\n"
            "print(json.dumps(sum(rows)))"
        )
        assert total == 4

    def test_gzip_is_taken(self, dashboard: Dashboard, token: str) -> None:
        body = gzip.compress(json.dumps(report(1, "gzip")).encode())
        assert post(dashboard, token, body, Content_Encoding="gzip").is_success

    def test_messagepack_is_taken(self, dashboard: Dashboard, token: str) -> None:
        body = msgspec.msgpack.encode(report(1, "msgpack"))
        answer = post(dashboard, token, body, Content_Type="application/msgpack")
        assert isinstance(MSGPACK.from_server(answer.content), wire.Desired)

    @pytest.mark.parametrize(
        ("body", "headers", "status", "field"),
        [
            (b"", {}, 400, "$"),
            (b"[]", {}, 400, "$"),
            (b"\xff", {}, 400, "$"),
            (report(seq=0), {}, 400, "$.seq"),
            (report(v=7), {}, 400, "$.v"),
            (report(service="bank"), {}, 403, "$.service"),
            (report(), {"Authorization": "Bearer nonsense"}, 401, "Authorization"),
            (report(), {"Authorization": "Basic abc"}, 401, "Authorization"),
            (report(), {"Content_Type": "text/plain"}, 415, "Content-Type"),
            (report(), {"Content_Encoding": "br"}, 415, "Content-Encoding"),
            (b"no gzip", {"Content_Encoding": "gzip"}, 400, ""),
            (b" " * (wire.MAX_MESSAGE_BYTES + 1), {}, 413, ""),
            (
                zlib.compress(b" " * 200_000_000, wbits=31),
                {"Content_Encoding": "gzip"},
                413,
                "",
            ),
            ({"type": "ack", "service": "shop", "instance": "i", "revision": 1}, {}, 400, "$.type"),
        ],
    )
    def test_what_is_wrong_is_said_as_json_with_the_field(
        self,
        dashboard: Dashboard,
        token: str,
        body: Any,
        headers: dict[str, str],
        status: int,
        field: str,
    ) -> None:
        answer = post(dashboard, token, body, **headers)
        assert answer.status_code == status, answer.text
        said = answer.json()
        assert said["code"]
        assert said["message"]
        assert said.get("field", "") == field

    def test_only_post_is_taken(self, dashboard: Dashboard) -> None:
        answer = http.get(f"{dashboard.url}/api/v1/reports")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
