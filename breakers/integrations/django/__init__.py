"""Breakers for Django: databases, cache and middleware.

guard_databases()                                   in an AppConfig's ready()
MIDDLEWARE = ["breakers.integrations.django.BreakerMiddleware", …]
ResilientCaller(cache=DjangoCache())
"""

from breakers.integrations.django.cache import AsyncDjangoCache, DjangoCache
from breakers.integrations.django.database import guard_databases
from breakers.integrations.django.middleware import BreakerMiddleware

__all__ = ["AsyncDjangoCache", "BreakerMiddleware", "DjangoCache", "guard_databases"]
