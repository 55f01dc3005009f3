"""Profiles are kept where only their owner reads them; shells complete commands and options."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from breakers.cli import profiles
from breakers.cli.profiles import Profile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "sub" / "config.json"
    monkeypatch.setenv("SWITCHGEAR_CONFIG", str(file))
    for name in ("SWITCHGEAR_URL", "SWITCHGEAR_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return file


def test_profiles_are_kept_apart_and_private(home: Path) -> None:
    profiles.save("default", Profile("https://one.example", "first"))
    profiles.save("staging", Profile("https://two.example", "second"))
    assert profiles.load("default") == Profile("https://one.example", "first")
    assert profiles.load("staging") == Profile("https://two.example", "second")
    assert profiles.names() == ["default", "staging"]
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


def test_variables_take_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.save("default", Profile("https://one.example", "first"))
    monkeypatch.setenv("SWITCHGEAR_API_TOKEN", "of the environment")
    assert profiles.load("default") == Profile("https://one.example", "of the environment")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_file_is_named(home: Path, content: str) -> None:
    home.parent.mkdir()
    home.write_text(content)
    with pytest.raises(ValueError, match=str(home)):
        profiles.load("default")


@pytest.mark.parametrize(
    ("words", "at", "completed"),
    [
        ("switchgear tr", 1, {"trip"}),
        ("switchgear policies ro", 2, {"rollout"}),
        ("switchgear trip --re", 2, {"--reason"}),
        ("switchgear policies decide 1 pro", 4, {"promote"}),
    ],
)
def test_bash_completes(words: str, at: int, completed: set[str]) -> None:
    script = "from breakers.cli import main; main(prog_name='switchgear')"
    env = {
        **os.environ,
        "_SWITCHGEAR_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(at),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert {line.partition(",")[2] for line in done.stdout.split()} == completed
