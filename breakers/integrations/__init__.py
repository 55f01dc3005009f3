"""Breakers for third-party packages, one module for each package.

Only that module imports the package. Nothing else in the library imports from here.

    httpx  requests          HTTP clients: one breaker per host, retries, deadlines
    redis  sqlalchemy        commands and statements pass a breaker
    redis_cache              answers cached in Redis
    django                   databases and cache behind breakers; 503 responses
    asgi                     Starlette, FastAPI: 503 responses, and a deadline for each request
    celery                   a breaker and a deadline for each task
"""
