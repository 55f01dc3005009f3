from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from dashboard.access.first_run import VALID_FOR_S, first_run_token


class Command(BaseCommand):
    help = "Print the one-time link that creates the first administrator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the dashboard")

    def handle(self, *args: Any, **options: Any) -> None:
        token = first_run_token()
        if token is None:
            self.stdout.write("There are accounts already; use create_person.")
            return
        link = options["url"].rstrip("/") + reverse("first_admin", args=[token])
        self.stdout.write(f"Create the first administrator within {VALID_FOR_S // 60} minutes:")
        self.stdout.write(link)
