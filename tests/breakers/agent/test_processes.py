"""Real processes: forks, asyncio-only programs, prefork servers that end by SIGTERM, exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from breakers.testing import FakeDashboard


def run(dashboard: FakeDashboard, program: str) -> subprocess.Popen[str]:
    env = os.environ | {
        "SWITCHGEAR_URL": dashboard.url,
        "SWITCHGEAR_TOKEN": dashboard.token,
        "SWITCHGEAR_SERVICE": dashboard.service,
        "SWITCHGEAR_INSTANCE": "web",
    }
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    return output


def test_a_process_that_ends_reports_its_last_calls() -> None:
    with FakeDashboard() as dashboard:
        program = """
            import breakers, breakers.agent, time
            agent = breakers.agent.start()
            posts = breakers.CircuitBreaker(name="posts")
            while not agent.status().reports_safe:
                time.sleep(0.01)
            for _ in range(10):
                posts.call(len, "four")
        """
        end(run(dashboard, program))
        assert dashboard.counts("posts") == {"success": 10}


def test_an_asyncio_program_needs_nothing_more() -> None:
    with FakeDashboard() as dashboard:
        program = """
            import asyncio, breakers, breakers.agent
            async def four(): return 4
            async def main():
                agent = breakers.agent.start()
                posts = breakers.CircuitBreaker(name="posts")
                for _ in range(10):
                    await posts.acall(four)
                while not agent.status().reports_safe:
                    await asyncio.sleep(0.01)
            asyncio.run(main())
        """
        end(run(dashboard, program))
        assert dashboard.counts("posts") == {"success": 10}


def test_each_child_of_a_fork_is_an_instance_of_its_own_and_obeys() -> None:
    with FakeDashboard() as dashboard:
        dashboard.force("posts", "forced_closed")
        program = """
            import os, sys, breakers, breakers.agent, time
            posts = breakers.CircuitBreaker(name="posts")
            agent = breakers.agent.start()
            while not agent.status().revision:
                time.sleep(0.01)
            for _ in range(100):
                posts.call(len, "four")
            children = []
            for _ in range(3):
                child = os.fork()
                if not child:
                    assert posts.state == "forced_closed"
                    assert agent.status().boot
                    for _ in range(10):
                        posts.call(len, "four")
                    while not agent.status().reports_safe:
                        time.sleep(0.01)
                    sys.exit(0)
                children.append(child)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
        """
        end(run(dashboard, program))
        by_instance = {report.instance.id: report for report in dashboard.reports}
        assert len(by_instance) == 4
        assert len({report.boot for report in by_instance.values()}) == 4
        pids = {report.instance.pid for report in by_instance.values()}
        assert by_instance.keys() - {"web"} == {
            f"web-{pid}" for pid in pids - {by_instance["web"].instance.pid}
        }
        assert dashboard.counts("posts") == {"success": 130}
        assert dashboard.states("posts") == {"forced_closed"}


def test_workers_that_end_gracefully_at_sigterm_flush_without_a_handler_of_ours() -> None:
    with FakeDashboard() as dashboard:
        program = """
            import signal, sys, breakers, breakers.agent, time
            posts = breakers.CircuitBreaker(name="posts")
            calls = 0
            def handler(*_):
                print(calls)
                sys.exit(0)
            signal.signal(signal.SIGTERM, handler)
            agent = breakers.agent.start()
            assert signal.getsignal(signal.SIGTERM) is handler
            while True:
                posts.call(len, "four")
                calls += 1
                time.sleep(0.01)
        """
        process = run(dashboard, program)
        dashboard.wait_for(lambda: dashboard.counts("posts"), timeout_s=15.0)
        process.send_signal(signal.SIGTERM)
        made = end(process)
        assert dashboard.counts("posts")["success"] == int(made)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9", "http://127.0.0.1:9"])
def test_without_a_dashboard_a_process_starts_works_and_ends_at_once(url: str) -> None:
    with FakeDashboard() as dashboard:
        program = f"""
            import breakers, breakers.agent, time
            start = time.monotonic()
            agent = breakers.agent.start(url={url!r})
            posts = breakers.CircuitBreaker(name="posts")
            assert posts.call(len, "four") == 4
            assert time.monotonic() - start < 1.0
        """
        end(run(dashboard, program))
        assert dashboard.connects == 0


def test_importing_it_starts_no_thread() -> None:
    with FakeDashboard() as dashboard:
        program = """
            import threading, breakers.agent
            assert threading.active_count() == 1
        """
        end(run(dashboard, program))


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_its_thread_imports_nothing(transport: str) -> None:
    """A fork in the middle of an import leaves the child a module that never becomes whole."""
    with FakeDashboard() as dashboard:
        program = f"""
            import sys, time, breakers.agent
            before = set(sys.modules)
            agent = breakers.agent.start(transport={transport!r})
            breakers.CircuitBreaker(name="posts").call(len, "four")
            while agent.status().reports_safe < 2:
                time.sleep(0.01)
            assert agent.stop()
            assert set(sys.modules) == before, set(sys.modules) - before
        """
        end(run(dashboard, program))
