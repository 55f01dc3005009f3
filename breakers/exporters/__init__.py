"""A registry's breakers for those who keep their own metrics: one module each, which alone imports
its package. They look and take nothing away, so that an agent reports the same beside them.

    prometheus      a collector for prometheus_client
    opentelemetry   instruments for opentelemetry-sdk, and exact latencies with its exporters
"""
