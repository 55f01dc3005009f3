"""The dashboard's own metrics, health checks, logs and request ids."""
