import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from dashboard.access.people import keep_person
from dashboard.access.roles import ROLES


class Command(BaseCommand):
    help = "Create a person, or change the role and password of one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=ROLES, action="append", required=True)
        parser.add_argument(
            "--password-file", type=Path, help="otherwise one is generated and printed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["password_file"]
        try:
            password = file.read_text().strip() if file else secrets.token_urlsafe(12)
            person = keep_person(options["username"], options["role"], password)
        except (OSError, ValidationError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{person.username} is {', '.join(options['role'])}")
        if not file:
            self.stdout.write(f"password: {password}")
