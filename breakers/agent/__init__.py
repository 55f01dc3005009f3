"""The agent: reports a process's breakers to the dashboard and applies what the dashboard wants.

    from breakers import agent
    agent.start(service="profile-api", url="wss://switchgear.example.com", token="…")

It runs in a thread of its own, never on the path of a call, and raises nothing into the service
once it has started. Needs the `agent` extra (msgspec and websockets).
"""

from breakers.agent.agent import Agent, start
from breakers.agent.config import AgentConfig, AgentConfigError
from breakers.agent.status import AgentStatus

__all__ = ["Agent", "AgentConfig", "AgentConfigError", "AgentStatus", "start"]
