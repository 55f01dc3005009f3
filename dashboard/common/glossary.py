"""The words of the screens and their meanings, for the page and docs/guide/glossary.md."""

from __future__ import annotations

from typing import Final

TERMS: Final = (
    ("Closed", "Calls run. The breaker measures them and opens when too many fail."),
    ("Open", "The breaker refuses calls, because too many failed. It tests again after a wait."),
    ("Half-open", "The wait has ended: a few test calls run to see if the dependency answers."),
    ("Closed, failing", "Calls run and many of them fail, but not enough to open the breaker."),
    ("Forced open", "An operator blocks all calls, whatever the dependency does."),
    ("Forced closed", "An operator allows all calls; the breaker will not open, whatever fails."),
    ("Limited", "An operator allows a share of the calls; the least important are refused first."),
    ("Monitor only", "All calls run; the breaker reports when it would have opened."),
    ("Stale", "The instance has not reported for three intervals: its state is unknown."),
    ("Retry now", "Allows all calls for ten seconds, then returns to automatic."),
    ("Failed", "A call that ran and failed or timed out: the dependency did not answer well."),
    ("Refused", "A call that did not run: the breaker or its bulkhead did not let it through."),
    ("Lost", "Failed and refused calls together. In the headline each is counted once."),
    ("Test call", "A call that runs while the breaker is half-open."),
    ("Failing for", "The time since the first trip of an outage, whatever happened since."),
    ("Outage", "From a breaker's first trip until none of its instances is open or half-open."),
    ("Override", "A state that an operator sets for a time."),
    ("In force on 3 of 4", "Three of four instances have confirmed an override."),
    ("Settings v2 on 4 of 4", "All four instances have applied revision 2."),
    ("Applies to", "The breakers and instances that an action reaches."),
    ("Policy", "The values of a breaker's settings, and where each comes from."),
    ("Instance", "One process of a service."),
    ("Dependency", "What a breaker guards. A breaker named like a service guards that service."),
)  # fmt: skip
