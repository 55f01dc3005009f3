"""docker-compose.yml is valid against the compose schema, and every command in it exists."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_it_is_valid_against_the_compose_schema() -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).parent / "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            ROOT / "docker-compose.yml",
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_has_every_role() -> None:
    roles = {"balancer", "web", "worker", "beat", "fleet", "redis", "postgres", "shop"}
    assert roles <= SERVICES.keys()
    assert {name for name in SERVICES if SERVICES[name].get("deploy", {}).get("replicas") == 2} == {
        "web",
        "fleet",
    }


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"migrate"}))
def test_whatever_stays_up_has_a_health_check(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"]


def test_only_the_balancer_is_reached_from_outside() -> None:
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["balancer"]


def test_the_balancer_has_the_configuration_that_it_is_given() -> None:
    (mounted,) = SERVICES["balancer"]["volumes"]
    config = (ROOT / mounted.partition(":")[0]).read_text()
    assert "web:8000 check" in config
    assert "uri /healthz" in config
    assert re.search(r"^    bind :8000$", config, re.M)


@pytest.mark.parametrize("service", SERVICES)
def test_whoever_is_waited_for_exists_and_can_say_it_is_ready(service: str) -> None:
    for name, wait in SERVICES[service].get("depends_on", {}).items():
        assert name in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("service", SERVICES)
def test_its_management_commands_exist(service: str) -> None:
    command = SERVICES[service].get("command", [])
    if "manage.py" in command:
        assert command[command.index("manage.py") + 1] in get_commands()


def test_every_switchgear_variable_of_the_dashboard_is_a_setting() -> None:
    settings = (ROOT / "dashboard/settings.py").read_text()
    for name in SERVICES["web"]["environment"]:
        assert re.search(rf'"{name.removeprefix("SWITCHGEAR_")}"', settings), name
