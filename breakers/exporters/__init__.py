"""Exporters of breaker metrics, one module for each third-party package.

Only that module imports the package. Exporters only read: an agent reports the same figures.

    prometheus      a collector for prometheus_client
    opentelemetry   instruments for opentelemetry-sdk, and exact latencies with its exporters
"""
