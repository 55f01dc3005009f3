"""Paths of the agents' API below the dashboard's address."""

from typing import Final

SOCKET: Final = "/agent/v1"
REPORTS: Final = "/api/v1/reports"
ACKS: Final = "/api/v1/acks"
RECORDINGS: Final = "/api/v1/recordings"
SCHEMA: Final = "/api/v1/schema.json"
OPENAPI: Final = "/api/v1/openapi.json"
ASYNCAPI: Final = "/api/v1/asyncapi.json"
