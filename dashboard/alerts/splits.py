"""Says where a breaker is open when it is not open everywhere: on one version, or in one zone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dashboard.alerts.observations import InstanceFacts


def open_only_on(instances: Collection[InstanceFacts]) -> str:
    """ "v124", "zone eu-west", or nothing if versions and zones do not separate the open ones."""
    for by, words in (("version", "{}"), ("zone", "zone {}")):
        shares = split(instances, by)
        whole = [value for value, (opened, total) in shares.items() if opened == total]
        untouched = [value for value, (opened, _) in shares.items() if not opened]
        if len(whole) == 1 and untouched and len(whole) + len(untouched) == len(shares):
            return words.format(whole[0])
    return ""


def split(instances: Collection[InstanceFacts], by: str) -> Mapping[str, tuple[int, int]]:
    """Open and all live instances for each version or zone."""
    shares: dict[str, tuple[int, int]] = {}
    for each in instances:
        value = getattr(each, by)
        if value and not each.stale:
            opened, total = shares.get(value, (0, 0))
            shares[value] = (opened + (each.state in {"open", "half_open"}), total + 1)
    return shares
