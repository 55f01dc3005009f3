"""Who may: people, roles, tokens, and the trail they leave."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command

from dashboard.access.authority import demand
from dashboard.access.models import AuditEntry, Person, ServiceToken
from dashboard.access.roles import CHANGE_POLICIES, OPERATE
from dashboard.access.service_tokens import (
    Grant,
    authenticate_token,
    create_token,
    revoke_token,
)

pytestmark = pytest.mark.django_db
RAW = "swg_" + "a" * 43


class TestRoles:
    def test_an_operator_may_operate_and_change_policies(self, operator: Person) -> None:
        demand(operator, OPERATE)
        demand(operator, CHANGE_POLICIES)

    def test_a_viewer_may_neither(self, viewer: Person) -> None:
        for permission in (OPERATE, CHANGE_POLICIES):
            with pytest.raises(PermissionDenied):
                demand(viewer, permission)

    def test_no_role_may_delete_or_touch_people(self) -> None:
        for group in Group.objects.all():
            codes = set(group.permissions.values_list("codename", flat=True))
            # Where alerts go is configuration, and its changes are audited.
            codes -= {"delete_channel", "delete_route", "delete_silence"}
            assert not {code for code in codes if code.startswith("delete_") or "person" in code}

    def test_who_is_inactive_may_nothing(self, operator: Person) -> None:
        operator.is_active = False
        with pytest.raises(PermissionDenied):
            demand(operator, OPERATE)


class TestTokens:
    def test_only_its_hash_is_kept(self) -> None:
        raw = create_token("shop")
        row = ServiceToken.objects.get()
        assert raw not in str(row.__dict__)
        assert raw.startswith(row.prefix)

    def test_it_names_its_service(self) -> None:
        raw = create_token("shop")
        create_token("bank")
        assert authenticate_token(raw) == Grant("shop")

    @pytest.mark.parametrize("wrong", ["", "x", RAW, "x" * 10_000, "\0" * 40])
    def test_another_string_is_nobodys(self, wrong: str) -> None:
        create_token("shop")
        assert authenticate_token(wrong) is None

    def test_a_revoked_one_is_nobodys_and_revoking_twice_is_one_act(self) -> None:
        raw = create_token("shop")
        token = ServiceToken.objects.get()
        revoke_token(token, None)
        revoke_token(token, None)
        assert authenticate_token(raw) is None
        assert AuditEntry.objects.filter(act="token revoked").count() == 1

    def test_a_given_one_is_taken_once_and_only_for_one_service(self) -> None:
        assert create_token("shop", raw=RAW) == RAW
        create_token("shop", raw=RAW)
        assert ServiceToken.objects.count() == 1
        with pytest.raises(ValidationError, match="belongs to shop"):
            create_token("bank", raw=RAW)

    @pytest.mark.parametrize(("service", "raw"), [("", RAW), ("x" * 121, RAW), ("shop", "short")])
    def test_a_bad_one_is_refused(self, service: str, raw: str) -> None:
        with pytest.raises(ValidationError):
            create_token(service, raw=raw)


class TestCommands:
    def test_a_person_is_made_and_made_again(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("correct horse battery\n")
        for role in ("viewer", "operator"):
            call_command("create_person", "ada", role=role, password_file=file, stdout=StringIO())
        person = Person.objects.get(username="ada")
        assert person.check_password("correct horse battery")
        assert person.has_perm(OPERATE)
        assert person.is_staff

    def test_a_password_that_was_made_up_is_printed(self) -> None:
        out = StringIO()
        call_command("create_person", "ada", role="viewer", stdout=out)
        password = out.getvalue().split("password: ")[1].strip()
        assert Person.objects.get().check_password(password)

    def test_a_weak_password_is_refused_and_nobody_is_made(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("ada")
        with pytest.raises(CommandError, match="too short"):
            call_command("create_person", "ada", role="viewer", password_file=file)
        assert not Person.objects.exists()

    def test_a_token_is_printed_once(self) -> None:
        out = StringIO()
        call_command("create_token", "shop", stdout=out)
        assert authenticate_token(out.getvalue().strip()) == Grant("shop")

    def test_a_token_from_a_file_is_not_printed(self, tmp_path: Path) -> None:
        file, out = tmp_path / "token", StringIO()
        file.write_text(RAW)
        call_command("create_token", "shop", value_file=file, stdout=out)
        assert out.getvalue() == ""
        with pytest.raises(CommandError):
            call_command("create_token", "shop", value_file=tmp_path / "nothing")


def test_migrations_are_complete_and_checks_are_silent() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    out = StringIO()
    call_command("check", stdout=out)
    assert "no issues" in out.getvalue()
