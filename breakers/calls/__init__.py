"""Resilient calls: caller, options, retries, timeouts, deadlines, cache and fan-out."""
