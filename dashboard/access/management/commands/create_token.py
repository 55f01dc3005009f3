from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.access.models import ServiceToken
from dashboard.access.service_tokens import create_token, rotate_token


class Command(BaseCommand):
    help = "Create a token for a service's agents and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("service")
        parser.add_argument("--name", default="", help="where it is used, for people")
        parser.add_argument("--value-file", type=Path, help="read the token from a file instead")
        parser.add_argument("--days", type=float, help="it expires after so many days")
        parser.add_argument("--instances", default="", help="patterns, separated by commas")
        parser.add_argument("--replaces", default="", metavar="PREFIX", help="rotate this token")
        parser.add_argument("--overlap-days", type=float, default=7, help="how long that goes on")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["value_file"]
        try:
            given = file.read_text().strip() if file else None
            if options["replaces"]:
                raw = self._rotated(options)
            else:
                days = options["days"]
                expires = None if days is None else timezone.now() + timedelta(days=days)
                raw = create_token(
                    options["service"], options["name"], raw=given,
                    instances=options["instances"], expires=expires,
                )  # fmt: skip
        except (OSError, OverflowError, ValidationError) as error:
            raise CommandError(str(error)) from error
        if not file:
            self.stdout.write(raw)

    def _rotated(self, options: dict[str, Any]) -> str:
        tokens = ServiceToken.objects.filter(service=options["service"], revoked=None)
        found = tokens.filter(prefix=options["replaces"].rstrip("…")).first()
        if found is None:
            raise CommandError(
                f"{options['service']} has no valid token that begins with {options['replaces']!r}"
            )
        return rotate_token(found, None, timedelta(days=options["overlap_days"]))
