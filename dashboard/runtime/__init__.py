"""How the processes of the dashboard start, and which drivers they use."""
