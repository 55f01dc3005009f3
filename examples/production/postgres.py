"""A PostgreSQL of one's own: made on first use, then served in the foreground.

PostgreSQL refuses to run as root; where we are root it runs as the user that its package made, and
keeps its data where that user gets to.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from examples import parent_watchdog
from examples.production.state import Production

_USER = "postgres"


def main() -> None:
    """Serve; replaces this process."""
    state = Production.of(os.environ)
    programs = _programs()
    if programs is None:
        sys.exit(
            "PostgreSQL is not installed here: apt-get install postgresql, or run the containers "
            "of docker-compose.yml"
        )
    password = urlsplit(state.database_url()).password or ""
    home = _home(state)
    data = home / "data"
    if os.getuid() == 0:
        _become(_USER)
    os.chdir(home)
    if not (data / "PG_VERSION").exists():
        _make(programs, data, password)
    options = ["-D", data, "-p", str(state.ports["POSTGRES_PORT"])]
    settings = (
        "listen_addresses=127.0.0.1",
        # Whose path may be too long for a socket.
        "unix_socket_directories=",
        "max_connections=100",
        "log_min_messages=warning",
    )
    for setting in settings:
        options += ["-c", setting]
    sys.stdout.flush()
    os.execv(programs / "postgres", ["postgres", *map(str, options)])


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = str(found[-1]) if found else shutil.which("postgres")
    return Path(program).resolve().parent if program else None


def _home(state: Production) -> Path:
    """The folder for PostgreSQL, made for the user that it will run as."""
    home = state.directory / "postgres"
    if os.getuid() != 0:
        home.mkdir(exist_ok=True, mode=0o700)
        return home
    # Ours to open: everybody may pass through, and see nothing.
    for path in (state.directory, state.directory.parent):
        path.chmod(path.stat().st_mode | stat.S_IXOTH)
    if not all(path.stat().st_mode & stat.S_IXOTH for path in state.directory.parents):
        name = hashlib.sha256(str(state.directory).encode()).hexdigest()[:12]
        home = Path(tempfile.gettempdir()) / f"switchgear-postgres-{name}"
        print(f"PostgreSQL keeps its data in {home}: its user cannot get to {state.directory}")
    home.mkdir(exist_ok=True, mode=0o700)
    os.chown(home, pwd.getpwnam(_USER).pw_uid, -1)
    return home


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    parent_watchdog.end_with_parent()


def _make(programs: Path, data: Path, password: str) -> None:
    """Make an empty cluster. A half-made one is made again."""
    draft = data.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", suffix=".password") as file:
        file.write(password)
        file.flush()
        command: list[str | Path] = [
            programs / "initdb",
            "-D",
            draft,
            "-U",
            "switchgear",
            "-A",
            "scram-sha-256",
        ]
        more = [f"--pwfile={file.name}", "-E", "UTF8", "--locale=C"]
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
    draft.rename(data)


if __name__ == "__main__":
    main()
