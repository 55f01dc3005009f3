"""The protocol between agents and the dashboard: messages, codec and JSON Schema."""
