import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.access import audit_chain, time_stamps

_ANCHOR = re.compile(r"\d+:[0-9a-f]{64}:[A-Za-z0-9_-]{86}")


class Command(BaseCommand):
    help = (
        "Verify the audit trail and its time stamps: finds changed, removed, inserted, reordered "
        "and cut-off rows. "
        "Exits with 1 if there are any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anchor", action="append", default=[], help="a head that was kept elsewhere"
        )
        parser.add_argument(
            "--log", action="append", type=Path, default=[], help="a log file with heads in it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        anchors = list(options["anchor"])
        for file in options["log"]:
            found = _ANCHOR.findall(file.read_text(errors="replace"))
            if not found:
                raise CommandError(f"{file} contains no audit head")
            anchors += sorted(set(found), key=lambda text: int(text.partition(":")[0]))
        rows, findings = audit_chain.verify(anchors)
        for each in findings:
            self.stderr.write(f"row {each.number}: {each.problem}")
        if findings:
            raise CommandError(f"{len(findings)} problems in {rows} rows")
        self.stdout.write(f"{rows} rows verified; head {audit_chain.head() or 'none'}")
        self.stdout.write(str(time_stamps.summary()))
        self.stdout.write(f"public key {audit_chain.public_key()}")
