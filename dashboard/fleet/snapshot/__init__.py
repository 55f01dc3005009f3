"""The fleet's read model: the current state of every service in this process."""
