"""Breakers for the packages that services call with: one module each, which alone imports its
package. Nothing else in the library imports from here.

    httpx  requests          HTTP clients: a breaker for each host, retries, deadlines
    redis  sqlalchemy        what a client or an engine asks for passes a breaker
    django                   the same for its databases, 503 from its views, its cache
    starlette                503 from any ASGI application, and a deadline for each request
    celery                   a breaker and a deadline for each task
    redis_cache              answers kept in Redis
"""
