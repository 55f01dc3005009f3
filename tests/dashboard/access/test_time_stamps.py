"""The head of the audit chain is time-stamped by an authority (RFC 3161), and `audit verify` checks
the tokens. The authority is openssl's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils.module_loading import import_string
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from breakers.testing import FakeClock
from dashboard.access import audit_chain, audit_triggers, time_stamps
from dashboard.access.models import AuditEntry, AuditHead, AuditTimeStamp, Person
from dashboard.access.services import audit
from dashboard.common import guarded_http
from tests.dashboard.access.authority import Authority

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made = Authority(tmp_path_factory.mktemp("authority"))
    yield made
    made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority(
    running: Authority, settings: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Authority]:
    """An authority that is configured, with its certificate."""
    settings.TSA_URL, settings.TSA_CA, settings.TSA_EVERY_S = running.url, running.ca, 3600.0
    monkeypatch.setattr(time_stamps, "_breaker", time_stamps.new_breaker(clock))
    monkeypatch.setattr(time_stamps.guarded_http, "post", partial(guarded_http.post, deadline_s=5))
    running.queries.clear()
    yield running
    running.answer = running.stamp


@pytest.fixture
def trail(operator: Person) -> list[AuditEntry]:
    """Five rows."""
    return [audit(operator, "policy", reason=f"r{n}") for n in range(5)]


@pytest.fixture
def stamp(authority: Authority, trail: list[AuditEntry]) -> AuditTimeStamp:
    """The time stamp of the fifth row."""
    row = time_stamps.stamp_if_due(NOW)
    assert row is not None
    return row


def problems() -> list[str]:
    return [each.problem for each in audit_chain.verify()[1]]


def replace(**columns: object) -> None:
    """Change the only time stamp behind the back of the triggers."""
    audit_triggers.drop(connection)
    AuditTimeStamp.objects.update(**columns)
    audit_triggers.create(connection)


def a_stamp_of(authority: Authority, text: bytes) -> bytes:
    builder = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256)
    return authority.stamp(builder.build().as_bytes())


class TestStamping:
    def test_the_head_is_stamped_and_verified(
        self, stamp: AuditTimeStamp, trail: list[AuditEntry]
    ) -> None:
        assert (stamp.number, stamp.hash, stamp.stored) == (5, trail[4].hash, NOW)
        assert problems() == []
        out = StringIO()
        call_command("audit_verify", stdout=out)
        assert "1 time stamps, the last of row 5 at" in out.getvalue()
        assert "not verified" not in out.getvalue()

    def test_openssl_verifies_what_is_stored(
        self, stamp: AuditTimeStamp, authority: Authority
    ) -> None:
        said = authority.verifies(stamp.answer, f"{stamp.number}:{stamp.hash}")
        assert "Verification: OK" in said

    def test_it_is_due_when_the_head_has_moved_and_the_interval_is_over(
        self, stamp: AuditTimeStamp
    ) -> None:
        assert time_stamps.stamp_if_due(NOW + 2 * HOUR) is None
        audit(None, "expired")
        assert time_stamps.stamp_if_due(NOW + HOUR / 2) is None
        later = time_stamps.stamp_if_due(NOW + HOUR)
        assert later is not None
        assert later.number == 6
        assert problems() == []

    def test_a_clock_that_stepped_back_does_not_delay_it(self, stamp: AuditTimeStamp) -> None:
        audit(None, "expired")
        assert time_stamps.stamp_if_due(NOW - HOUR) is not None

    def test_an_empty_trail_is_not_stamped(self, authority: Authority) -> None:
        assert time_stamps.stamp_if_due(NOW) is None
        assert authority.queries == []

    def test_nothing_happens_without_an_authority(
        self, authority: Authority, trail: list[AuditEntry], settings: Any
    ) -> None:
        settings.TSA_URL = ""
        assert time_stamps.start() is False
        assert time_stamps.stamp_if_due(NOW) is None
        assert authority.queries == []
        out = StringIO()
        call_command("audit_verify", stdout=out)
        assert "no time stamps" in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_periodic_task_stamps_in_a_thread_of_its_own(
    authority: Authority, settings: Any
) -> None:
    audit(None, "expired")
    import_string(settings.CELERY_BEAT_SCHEDULE["stamp the audit trail"]["task"])()
    assert time_stamps.background.join(60)
    assert AuditTimeStamp.objects.get().number == 1


class TestAFailingAuthority:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"<html>It works!</html>", "not a time stamp"),
            (b"", "not a time stamp"),
            (bytes.fromhex("30053003020102"), "refused"),
            (b"x" * 100_000, "without end"),
        ],
    )
    def test_an_answer_that_is_no_stamp_is_not_stored(
        self, authority: Authority, trail: list[AuditEntry], answer: bytes, said: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        authority.answer = lambda query: answer
        assert self.fails(caplog, said)

    def test_a_stamp_of_something_else_is_not_stored(
        self, authority: Authority, trail: list[AuditEntry], caplog: pytest.LogCaptureFixture
    ) -> None:
        authority.answer = lambda query: a_stamp_of(authority, b"something else")
        assert self.fails(caplog, "imprint differs")

    def test_an_old_answer_is_not_stored(
        self, stamp: AuditTimeStamp, authority: Authority, caplog: pytest.LogCaptureFixture
    ) -> None:
        head = AuditHead.objects.get()
        old = a_stamp_of(authority, f"{head.number}:{head.hash}".encode())
        with pytest.raises(time_stamps.TimeStampError, match="nonce differs"):
            time_stamps.check(old, head.number, head.hash, nonce=1)

    def test_one_that_hangs_is_left_at_the_deadline(
        self, authority: Authority, trail: list[AuditEntry], caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        post = partial(guarded_http.post, deadline_s=0.3)
        monkeypatch.setattr(time_stamps.guarded_http, "post", post)
        authority.answer = authority.hang
        assert self.fails(caplog, "did not answer within 0.3 s")

    def test_one_that_is_down_is_asked_again_and_left_alone_after_three_failures(
        self, authority: Authority, trail: list[AuditEntry], settings: Any,
        clock: FakeClock, caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        settings.TSA_URL = "http://127.0.0.1:9/"
        for _ in range(3):
            assert self.fails(caplog, "127.0.0.1")
        settings.TSA_URL = authority.url
        assert time_stamps.stamp_if_due(NOW) is None
        assert authority.queries == []
        clock.advance(301)
        assert time_stamps.stamp_if_due(NOW) is not None

    def test_one_with_another_certificate_is_not_believed(
        self, authority: Authority, trail: list[AuditEntry], settings: Any, tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        other = Authority(tmp_path)
        settings.TSA_CA = other.ca
        other.close()
        assert self.fails(caplog, "signature does not hold")

    def fails(self, caplog: pytest.LogCaptureFixture, said: str) -> bool:
        """Whether a stamp fails for that reason, and nothing is stored or wrong afterwards."""
        caplog.clear()
        with caplog.at_level(logging.WARNING, "switchgear.audit_stamps"):
            assert time_stamps.stamp_if_due(NOW) is None
        assert not AuditTimeStamp.objects.exists()
        assert problems() == []
        return said in caplog.text


class TestTampering:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE access_audittimestamp SET number = 4",
            "DELETE FROM access_audittimestamp",
            *(["TRUNCATE access_audittimestamp"] if connection.vendor == "postgresql" else []),
        ],
    )
    def test_triggers_refuse_changes(self, stamp: AuditTimeStamp, statement: str) -> None:
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        assert AuditTimeStamp.objects.count() == 1

    def test_a_change_of_the_imprint_or_the_signature_is_detected(
        self, stamp: AuditTimeStamp
    ) -> None:
        answer = bytes(stamp.answer)
        signed = answer.index(stamp_digest(stamp))
        for position in (*range(signed, signed + 32), len(answer) - 1):
            changed = bytearray(answer)
            changed[position] ^= 1
            with pytest.raises(time_stamps.TimeStampError):
                time_stamps.check(bytes(changed), stamp.number, stamp.hash)
        replace(answer=answer[:-1] + bytes([answer[-1] ^ 1]))
        assert "signature does not hold" in problems()[0]
        with pytest.raises(CommandError, match="1 problems"):
            call_command("audit_verify", stdout=StringIO(), stderr=StringIO())

    def test_a_token_of_something_else_is_detected(
        self, stamp: AuditTimeStamp, authority: Authority
    ) -> None:
        replace(answer=a_stamp_of(authority, b"something else"))
        assert problems() == [
            "its time stamp is not valid: it stamps something else: its imprint differs"
        ]

    def test_another_time_in_the_table_is_detected(self, stamp: AuditTimeStamp) -> None:
        replace(at=stamp.at - HOUR)
        assert "the table has another" in problems()[0]

    def test_another_number_is_detected(self, stamp: AuditTimeStamp) -> None:
        replace(number=4)
        assert "differs from what was time-stamped" in problems()[0]
        assert "imprint differs" in problems()[1]

    def test_a_trail_that_was_rewritten_and_signed_again_is_detected(
        self, stamp: AuditTimeStamp
    ) -> None:
        audit_triggers.drop(connection)
        AuditEntry.objects.all().delete()
        AuditHead.objects.all().delete()
        for _ in range(4):
            audit(None, "nothing to see")
        assert problems() == ["a time stamp names this row, which is missing"]
        audit(None, "nothing to see")
        assert [each[:33] for each in problems()] == ["differs from what was time-stampe"]

    def test_without_certificates_the_imprint_is_checked_and_the_rest_is_said(
        self, stamp: AuditTimeStamp, authority: Authority, settings: Any
    ) -> None:
        settings.TSA_CA = []
        out = StringIO()
        call_command("audit_verify", stdout=out)
        assert "signatures not verified: SWITCHGEAR_TSA_CA is empty" in out.getvalue()
        replace(answer=a_stamp_of(authority, b"something else"))
        assert "imprint differs" in problems()[0]


def stamp_digest(stamp: AuditTimeStamp) -> bytes:
    response = time_stamps.decode_timestamp_response(bytes(stamp.answer))
    return response.tst_info.message_imprint.message
