"""Periodic tasks of this app."""

from celery import shared_task

from dashboard.policies import rollouts, schedule, services
from dashboard.policies.whatif import runs


@shared_task
def sweep_declared() -> int:
    """Drop what the code of breakers declared that nobody reports any more."""
    return services.forget_undeclared()


@shared_task
def run_replays() -> int:
    """Run the what-ifs that are queued."""
    return runs.run_queued()


@shared_task
def apply_schedule() -> int:
    """Start and end scheduled policies."""
    return schedule.apply_due()


@shared_task
def judge_rollouts() -> int:
    """Compare each canary with the rest."""
    return rollouts.judge_all()
