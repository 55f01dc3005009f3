from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dashboard.runtime.server import serve


class Command(BaseCommand):
    help = "Serve pages, browsers and agents. Run any number behind a load balancer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="the port to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        serve(options["host"], options["port"])
