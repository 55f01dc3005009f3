from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from dashboard.access.services import create_token


class Command(BaseCommand):
    help = "Create a token for a service's agents and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("service")
        parser.add_argument("--name", default="", help="where it is used, for people")
        parser.add_argument("--value-file", type=Path, help="read the token from a file instead")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["value_file"]
        try:
            given = file.read_text().strip() if file else None
            raw = create_token(options["service"], options["name"], raw=given)
        except (OSError, ValidationError) as error:
            raise CommandError(str(error)) from error
        if not file:
            self.stdout.write(raw)
