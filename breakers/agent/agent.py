"""Starting and stopping the agent: by hand, at exit, and in the children of a fork."""

from __future__ import annotations

import atexit
import logging
import os
import ssl
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breakers.agent.config import AgentConfig, AgentConfigError, read_config
from breakers.agent.runner import Runner
from breakers.agent.status import AgentStatus
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry

logger = logging.getLogger("breakers.agent")


class Agent:
    """Reports a registry's breakers and obeys the dashboard. `start` makes it."""

    def __init__(self, config: AgentConfig | None, registry: Registry) -> None:
        self.config = config
        self.registry = registry
        self._runner: Runner | None = None

    @property
    def is_running(self) -> bool:
        """Whether it reports; not after `stop`, and never where no dashboard is configured."""
        return self._runner is not None

    def status(self) -> AgentStatus:
        """How it goes: connected or not and why, what is buffered, what was dropped."""
        return self._runner.status() if self._runner is not None else AgentStatus()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Report a last time, hang up and end, within `timeout_s` (the configured `flush_s`).

        Overrides and policies stay in force. Returns whether everything reported is safe.
        """
        with _lock:
            runner, self._runner = self._runner, None
            _running.pop(id(self.registry), None)
        if runner is None:
            return True
        return runner.stop(runner.config.flush_s if timeout_s is None else timeout_s)

    def _begin(self, config: AgentConfig) -> None:
        self._runner = Runner(config, self.registry, wanted=None, forked=False)
        self._runner.start()

    def _forked(self) -> None:
        if self._runner is not None:
            self._runner.conversation.has_children = True

    def _stop_at_exit_of_child(self) -> None:
        """Say goodbye where a child of multiprocessing or billiard ends without `atexit`."""
        for name in ("multiprocessing.util", "billiard.util"):
            util = sys.modules.get(name)
            if util is not None:
                # Finalizers of the parent are cleared in the child before these are called.
                util.register_after_fork(self, _finalize_with(util))

    def _begin_in_child(self) -> None:
        parents = self._runner
        if parents is None:
            return
        parents.abandon()
        self._runner = Runner(
            parents.config, self.registry, wanted=parents.applier.remaining(), forked=True
        )
        self._runner.start()
        self._stop_at_exit_of_child()


def start(
    *,
    url: str | None = None,
    token: str | None = None,
    service: str | None = None,
    instance: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    registry: Registry = default_registry,
    version: str = "",
    zone: str = "",
    tags: Sequence[str] = (),
    obey: str | Mapping[str, object] | None = None,
    faults: Sequence[str] = (),
    faults_in_production: bool = False,
    environment: str | None = None,
    allow_plaintext: bool | None = None,
    transport: str = "auto",
    format: str = "msgpack",
    compress: bool = False,
    interval_s: float = 1.0,
    buffer_bytes: int = 4 * 1024 * 1024,
    timeout_s: float = 5.0,
    ping_s: float = 10.0,
    reconnect_max_s: float = 3.0,
    flush_s: float = 1.0,
    ssl_context: ssl.SSLContext | None = None,
) -> Agent:
    """Start reporting this process's breakers to the dashboard, and obeying it.

    Without a URL, given or in the environment, it does nothing but log that. Calling it again
    with the same settings returns the agent that runs already.

    Args:
        url: the dashboard's address: ws, wss, http or https. Else SWITCHGEAR_URL.
        token: the service's token. Else SWITCHGEAR_TOKEN, or the file SWITCHGEAR_TOKEN_FILE names.
        service: the service this process is of. Else SWITCHGEAR_SERVICE.
        instance: this process's name, unique within the service; `{pid}` in it stands for the
            process id. Else SWITCHGEAR_INSTANCE, or host and process id.
        state_dir: where the last desired state outlives a restart. Else SWITCHGEAR_STATE_DIR; None
            for nowhere.
        registry: whose breakers.
        version: the service's version, shown on the page.
        zone: where it runs, shown on the page.
        tags: up to 32 words by which policies can select instances.
        obey: what this process obeys: floor and ceiling by field of a policy, such as
            {"timeout": (0.1, 30.0), "retries": (None, 4)}; the key "overrides" lists the states
            that may be forced. "report-only" obeys nothing. Else SWITCHGEAR_OBEY, else defaults
            that refuse only what harms. An override never lasts longer than seven days.
        faults: the breakers into whose calls an operator may inject faults, to rehearse: latency,
            errors, corrupt results. None by default; no variable sets it. An injected fault ends
            after an hour at the latest.
        faults_in_production: whether that holds in an environment whose name begins with "prod" or
            "live" too.
        environment: where this process runs, such as "staging". Else SWITCHGEAR_ENVIRONMENT.
        allow_plaintext: whether the token may travel unencrypted to another host. Else
            SWITCHGEAR_ALLOW_PLAINTEXT.
        transport: "auto" (a WebSocket, HTTP where none gets through), "websocket" or "http".
        format: "msgpack" or "json".
        compress: whether reports are deflated: less than half the bytes, for more of a core.
        interval_s: seconds between reports until the dashboard sets them; 0.25 to 300.
        buffer_bytes: what may wait for the dashboard in memory.
        timeout_s: seconds to connect, to send, to be answered a ping or a post.
        ping_s: seconds between pings.
        reconnect_max_s: the longest wait before the next attempt to connect.
        flush_s: seconds that the last report may take at exit.
        ssl_context: for certificates that the system does not know.

    Raises:
        AgentConfigError: something is missing or wrong; the message names it.
    """
    config = read_config(
        url=url,
        token=token,
        service=service,
        instance=instance,
        state_dir=state_dir,
        version=version,
        zone=zone,
        tags=tuple(tags),
        obey=obey,
        faults=tuple(faults),
        faults_in_production=faults_in_production,
        environment=environment,
        allow_plaintext=allow_plaintext,
        transport=transport,
        format=format,
        compress=compress,
        interval_s=interval_s,
        buffer_bytes=buffer_bytes,
        timeout_s=timeout_s,
        ping_s=ping_s,
        reconnect_max_s=reconnect_max_s,
        flush_s=flush_s,
        ssl_context=ssl_context,
    )
    if config is None:
        logger.info("SWITCHGEAR_URL is not set: breakers work, and are reported to nobody")
        return Agent(None, registry)
    with _lock:
        running = _running.get(id(registry))
        if running is not None:
            if running.config != config:
                raise AgentConfigError(
                    "an agent with other settings reports these breakers already: stop it first"
                )
            return running
        agent = Agent(config, registry)
        agent._begin(config)
        _running[id(registry)] = agent
        return agent


def _finalize_with(util: Any) -> Callable[[Agent], None]:
    def finalize(agent: Agent) -> None:
        util.Finalize(None, agent.stop, exitpriority=10)

    return finalize


# By the registry that they report: two agents on one would each see half of what happens.
_running: dict[int, Agent] = {}
_lock = threading.Lock()


def _stop_all() -> None:
    for agent in list(_running.values()):
        agent.stop()


def _after_fork() -> None:
    """The child is an instance of its own: its own name, boot, thread and connection."""
    global _lock
    _lock = threading.Lock()
    for agent in list(_running.values()):
        try:
            agent._begin_in_child()
        except Exception:
            logger.exception("the agent does not run in this child process")


def _after_fork_in_parent() -> None:
    """A process that has forked and makes no calls itself is not counted in shares."""
    for agent in list(_running.values()):
        agent._forked()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_after_fork, after_in_parent=_after_fork_in_parent)
