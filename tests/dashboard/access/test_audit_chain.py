"""The audit trail is append-only, and tampering by whoever bypasses the triggers is detected."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client

from dashboard.access import audit_chain, audit_triggers
from dashboard.access.models import AuditEntry, AuditHead, Person
from dashboard.access.services import audit

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.django_db


@pytest.fixture
def trail(operator: Person) -> list[AuditEntry]:
    """Five rows."""
    return [
        audit(operator, "policy", service="shop", breaker="b", reason=f"r{n}", share=0.5, whole=2.0)
        for n in range(5)
    ]


def problems(anchors: list[str] | None = None) -> list[str]:
    return [each.problem for each in audit_chain.verify(anchors or [])[1]]


def execute(sql: str, *values: object) -> None:
    audit_triggers.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_an_untouched_trail_is_verified(trail: list[AuditEntry]) -> None:
    assert audit_chain.verify([audit_chain.head()]) == (5, [])
    out = StringIO()
    call_command("audit_verify", stdout=out)
    assert "5 rows verified" in out.getvalue()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_auditentry SET reason = 'other'",
        "DELETE FROM access_auditentry",
        *(["TRUNCATE access_auditentry"] if connection.vendor == "postgresql" else []),
    ],
)
def test_triggers_refuse_changes(trail: list[AuditEntry], statement: str) -> None:
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEntry.objects.count() == 5


COLUMNS = [
    field.column for field in AuditEntry._meta.fields if field.column not in ("id", "detail")
]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_of_any_column_is_detected(trail: list[AuditEntry], column: str) -> None:
    values = {"number": 77, "at": "2020-01-01 00:00:00+00:00", "person_id": 12345}
    execute(
        f"UPDATE access_auditentry SET {column} = %s WHERE number = 3",
        values.get(column, "tampered"),
    )
    assert problems()


def test_a_change_of_the_detail_is_detected(trail: list[AuditEntry]) -> None:
    execute("UPDATE access_auditentry SET detail = %s WHERE number = 3", '{"share": 0.6}')
    assert problems() == ["was changed: its hash differs"]


def test_a_removed_row_is_detected(trail: list[AuditEntry]) -> None:
    execute("DELETE FROM access_auditentry WHERE number = 2")
    assert problems() == ["rows 2 to 2 are missing"]


def test_reordered_rows_are_detected(trail: list[AuditEntry]) -> None:
    for number, becomes in ((2, 99), (3, 2), (99, 3)):
        execute("UPDATE access_auditentry SET number = %s WHERE number = %s", becomes, number)
    assert "does not follow the row before" in problems()


def test_an_inserted_row_is_detected(trail: list[AuditEntry]) -> None:
    row = trail[-1]
    row.pk, row.number, row.previous = None, 6, row.hash  # type: ignore[assignment]
    row.hash = audit_chain.hash_of(row)
    row.save(force_insert=True)
    assert problems() == ["the head is row 5; the trail ends at 6"]


def test_a_cut_off_end_is_detected(trail: list[AuditEntry]) -> None:
    execute("DELETE FROM access_auditentry WHERE number >= 4")
    assert problems() == ["the head is row 5; the trail ends at 3"]


def test_a_head_without_the_key_is_detected(trail: list[AuditEntry]) -> None:
    execute("DELETE FROM access_auditentry WHERE number >= 4")
    AuditHead.objects.update(number=3, hash=trail[2].hash)
    assert problems() == ["the head is not signed by this key"]


def test_a_trail_cut_back_to_an_older_head_is_detected_by_an_anchor(
    trail: list[AuditEntry], tmp_path: Path
) -> None:
    anchor = audit_chain.head()
    execute("DELETE FROM access_auditentry WHERE number >= 4")
    signature = audit_chain.sign(3, trail[2].hash)
    AuditHead.objects.update(number=3, hash=trail[2].hash, signature=signature)
    assert problems() == []
    assert problems([anchor]) == ["an anchor names this row; the end is cut off"]
    log = tmp_path / "log"
    log.write_text(f'{{"event": "x", "audit_head": "{anchor}"}}\n')
    with pytest.raises(CommandError, match="1 problems"):
        call_command("audit_verify", log=[log], stdout=StringIO(), stderr=StringIO())


def test_a_rewritten_trail_differs_from_an_anchor(trail: list[AuditEntry]) -> None:
    anchor = audit_chain.head()
    execute("DELETE FROM access_auditentry")
    AuditHead.objects.all().delete()
    for _ in range(6):
        audit(None, "nothing to see")
    assert problems() == []
    assert problems([anchor]) == ["differs from an anchor"]
    assert "is not signed" in problems(["5:" + "0" * 64 + ":" + "A" * 86])[0]


def test_the_migration_chains_rows_that_were_written_before(trail: list[AuditEntry]) -> None:
    execute("UPDATE access_auditentry SET hash = '', previous = ''")
    AuditHead.objects.all().delete()
    migration = import_module("dashboard.access.migrations.0005_audit_chain")
    migration.chain_existing_rows(apps, None)
    assert audit_chain.verify() == (5, [])


def test_each_row_is_written_to_the_log(
    trail: list[AuditEntry],
    django_capture_on_commit_callbacks: Callable[..., object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.INFO, "switchgear.audit"),
        django_capture_on_commit_callbacks(execute=True),  # type: ignore[attr-defined]
    ):
        audit(None, "expired", service="shop")
    (record,) = [each for each in caplog.records if each.name == "switchgear.audit"]
    assert record.audit["act"] == "expired"  # type: ignore[attr-defined]
    assert record.audit["number"] == 6  # type: ignore[attr-defined]


def test_a_refused_request_is_recorded_with_its_address(viewer: Person, static_files: None) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(viewer)
    assert client.post("/acts/force-open", {"targets": "[]"}).status_code == 403
    row = AuditEntry.objects.get(act="refused")
    assert (row.by, row.address, row.detail["path"]) == ("viewer", "192.0.2.7", "/acts/force-open")
    assert len(row.session) == 12


def test_the_trail_is_streamed_to_a_file_and_to_syslog_as_json(tmp_path: Path) -> None:
    syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    syslog.bind(("127.0.0.1", 0))
    syslog.settimeout(10)
    port = syslog.getsockname()[1]
    before = list(logging.getLogger("switchgear.audit").handlers)
    script = (
        "import logging, logging.config\n"
        "from dashboard.observability.logs import configuration\n"
        f"logging.config.dictConfig(configuration('text', 'INFO', {str(tmp_path / 'a')!r},"
        f" '127.0.0.1:{port}'))\n"
        "logging.getLogger('switchgear.audit').info('audit', extra={'audit': {'act': 'policy'}})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    assert json.loads((tmp_path / "a").read_text())["audit"] == {"act": "policy"}
    datagram = syslog.recv(65_536).decode().rstrip("\0")
    assert json.loads(datagram[datagram.index("{") :])["audit"] == {"act": "policy"}
    syslog.close()
    assert logging.getLogger("switchgear.audit").handlers == before
