"""The circuit breaker: its state machine, windows, histogram, policy and registry."""
