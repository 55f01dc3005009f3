"""Settings come from variables or from the files they name, and what cannot be is refused."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from dashboard.common.environment import Variables

ROOT = Path(__file__).resolve().parents[3]
KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"
PRODUCTION = {
    "SWITCHGEAR_SECRET_KEY": KEY,
    "SWITCHGEAR_DATABASE_URL": "postgres://switchgear:word@127.0.0.1:1/switchgear",
    "SWITCHGEAR_BUS_URL": "redis://127.0.0.1:1/0",
    "SWITCHGEAR_ALLOWED_HOSTS": "breakers.example.com",
    "SWITCHGEAR_TRUSTED_ORIGINS": "https://breakers.example.com",
    "SWITCHGEAR_HTTPS": "1",
}


def variables(**env: str) -> Variables:
    return Variables({f"SWITCHGEAR_{name}": value for name, value in env.items()})


def check(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with these variables and no other of ours."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHGEAR_")}
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=ROOT,
        env={**own, **env},
        capture_output=True,
        text=True,
    )


def test_a_file_may_hold_the_value(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("of a file\n")
    assert variables(SECRET_KEY_FILE=str(path)).text("SECRET_KEY") == "of a file"
    with pytest.raises(ImproperlyConfigured, match="are both set"):
        variables(SECRET_KEY_FILE=str(path), SECRET_KEY="x").text("SECRET_KEY")
    with pytest.raises(ImproperlyConfigured, match="_FILE is '/no/such', which cannot be read"):
        variables(SECRET_KEY_FILE="/no/such").text("SECRET_KEY")


@pytest.mark.parametrize(("text", "is_on"), [("1", True), ("Yes", True), ("off", False)])
def test_a_flag_is_said_in_many_words(text: str, is_on: bool) -> None:
    assert variables(HTTPS=text).flag("HTTPS") is is_on


@pytest.mark.parametrize(
    ("env", "refusal"),
    [
        ({"HTTPS": "maybe"}, "SWITCHGEAR_HTTPS is 'maybe'; it must be 1 (true, yes, on) or 0"),
        ({"TICK": "9"}, "SWITCHGEAR_TICK is '9'; it must be a number from 0.05 to 5 seconds"),
        ({"TICK": "nan"}, "SWITCHGEAR_TICK is 'nan'"),
        ({"LOG_CAPACITY_MB": "1.5"}, "it must be a whole number from 1 to 1000000 megabytes"),
        ({"LOG_FORMAT": "xml"}, "SWITCHGEAR_LOG_FORMAT is 'xml'; it must be json or text"),
        ({"BUS_URL": "kafka://u:word@h"}, "SWITCHGEAR_BUS_URL is 'kafka://…'; it must be an"),
        ({"DATABASE_URL": "postgres://u:word@h"}, "'postgres://…'; it must be an address with a"),
        ({"DATABASE_URL": "mysql://h/d"}, "begins with sqlite://, postgres:// or postgresql://"),
        ({"TRUSTED_ORIGINS": "example.com"}, "SWITCHGEAR_TRUSTED_ORIGINS is 'example.com'"),
        ({"METRICS_PORT": "70000"}, "it must be a whole number from 0 to 65535"),
        ({"SECRET_KEY": ""}, "SWITCHGEAR_SECRET_KEY is not set"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    env: dict[str, str], refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SWITCHGEAR_")]:
        monkeypatch.delenv(name)
    for name, value in {"SECRET_KEY": KEY, **env}.items():
        monkeypatch.setenv(f"SWITCHGEAR_{name}", value)
    with pytest.raises(ImproperlyConfigured) as refused:
        runpy.run_path(str(ROOT / "dashboard/settings.py"))
    assert refusal in str(refused.value)
    assert "word" not in str(refused.value), "a password is not for the log"


def test_a_variable_that_is_no_setting_is_named_with_what_was_meant() -> None:
    told = check(SWITCHGEAR_SECRET_KEY=KEY, SWITCHGEAR_REPORT_INTERVL="3", SWITCHGEAR_TOKEN="t")
    assert (
        "SWITCHGEAR_REPORT_INTERVL is not a setting; did you mean SWITCHGEAR_REPORT_INTERVAL?"
        in (told.stderr)
    )
    assert "SWITCHGEAR_TOKEN" not in told.stderr


def test_production_settings_are_clean() -> None:
    checked = check("--deploy", "--fail-level", "INFO", **PRODUCTION)
    assert checked.returncode == 0, checked.stderr


def test_many_processes_on_sqlite_are_warned_of() -> None:
    checked = check("--deploy", **{**PRODUCTION, "SWITCHGEAR_DATABASE_URL": "sqlite:///db.sqlite3"})
    assert "switchgear.W002" in checked.stderr


def test_certificates_are_read_from_pem() -> None:
    assert variables().certificates("TSA_CA") == []
    for value in ("none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"):
        with pytest.raises(ImproperlyConfigured, match=r"(?s)SWITCHGEAR_TSA_CA is .* must be cert"):
            variables(TSA_CA=value).certificates("TSA_CA")


def test_an_address_may_be_empty_if_its_default_is() -> None:
    assert variables().address("TSA_URL", "", ("http", "https")) == ""
    with pytest.raises(ImproperlyConfigured, match="must be an address that begins with http://"):
        variables(TSA_URL="tsa.example").address("TSA_URL", "", ("http", "https"))
