"""The programmatic interfaces: for agents and for browsers."""
