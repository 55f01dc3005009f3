"""Limits on concurrency and rate."""
