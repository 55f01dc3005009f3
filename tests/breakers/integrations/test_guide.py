"""The examples of docs/guide/integrations.md run as they stand, against real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.breakers.integrations.service import Service

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guide/integrations.md").read_text()
EXAMPLES = dict(re.findall(r"^#+ ([^\n]+)\n(?:(?!^#).)*?```python\n(.*?)```", PAGE, re.M | re.S))
# What is done with an example, and must hold afterwards.
CHECKS = {
    "httpx": "import asyncio\nassert asyncio.run(user(7)) == b'answer'",
    "requests": "assert payments.snapshot().counts['success'] == 1",
    "Redis": "assert client.get('greeting') == b'hello'",
    "Caching in Redis": "assert caller.call(dict, options) == rates",
    "SQLAlchemy": """
from breakers import registry
(breaker,) = registry.all()
assert breaker.name.startswith("db:") and breaker.snapshot().counts["success"] >= 2
""",
    "Django": """
import django
from django.conf import settings
DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(
    MIDDLEWARE=MIDDLEWARE, DATABASES={"default": DATABASE}, ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"]
)
django.setup()
import sys, types
from django.urls import path
from breakers import CircuitBreakerOpen, registry
def view(request):
    raise CircuitBreakerOpen("posts", 7.0)
sys.modules["urls"] = types.ModuleType("urls")
sys.modules["urls"].urlpatterns = [path("", view)]
sys.modules["shop"] = types.ModuleType("shop")
ShopConfig("shop", types.SimpleNamespace(__file__="shop/__init__.py")).ready()
from django.db import connection
connection.cursor().execute("SELECT 1")
assert registry.get("db:default").snapshot().counts["success"] >= 1
from django.test import Client
assert Client().get("/").headers["Retry-After"] == "7"
""",
    "Starlette, FastAPI": """
import asyncio
import httpx
async def ask():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as web:
        return await web.get("/posts")
assert asyncio.run(ask()).json() == ["first"]
posts.set_override("forced_open", expires_in_s=60)
assert asyncio.run(ask()).headers["Retry-After"] == "60"
""",
    "Celery": """
assert send_mail("ada") == "sent to ada"
smtp.set_override("forced_open", expires_in_s=60)
sent = send_mail.apply(("ada",), retries=20)
assert type(sent.result).__name__ == "CircuitForcedOpen"
""",
}


def test_every_example_is_here() -> None:
    assert set(EXAMPLES) == set(CHECKS)
    assert PAGE.count("```python") == len(EXAMPLES)


@pytest.mark.parametrize("name", CHECKS)
def test_the_example_runs(name: str, service: Service, redis_url: str, postgres_url: str) -> None:
    code = EXAMPLES[name] + CHECKS[name]
    real = {
        "https://api.example.com": service.url,
        '"https://"': '"http://"',
        "redis://localhost:6379/0": redis_url,
        "postgresql+psycopg://shop@localhost/shop": postgres_url.replace("://", "ql+psycopg://"),
    }
    for example, address in real.items():
        code = code.replace(example, address)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
