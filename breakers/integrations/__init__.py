"""Breakers for the packages that services call with: one module each, which alone imports its
package. Nothing else in the library imports from here.

    httpx  requests          HTTP clients: a breaker for each host, retries, deadlines
    redis  sqlalchemy        what a client or an engine asks for passes a breaker
    redis_cache              answers kept in Redis
    django                   the same for its databases and its cache; 503 from its views
    asgi                     Starlette, FastAPI: 503, and a deadline for each request
    celery                   a breaker and a deadline for each task
"""
