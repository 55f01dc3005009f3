"""A limit to a share, step by step: all instances confirm each step, and the shop's answers follow.

A step is measured over profiles of users that nobody asked for before, beside the counters of the
instances. Each breaker spreads what it lets pass evenly over all of its calls, so that the share of
these is right to within a few calls. Of our own it differs by what the shop's traffic in between
takes: where that is a fifth of the calls, by a standard deviation of 0.9 points at most with so
many profiles. A measurement beyond two points is taken anew, twice at most: by chance all three
fail once in fifty thousand runs, with a share that is wrong always.

A call that was let through and timed out, on a slow machine, has no posts either: the answers are
held to the calls that were let through and answered.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.e2e.demo.conftest import Demo, Visit
from tests.examples.running import eventually, http

# The steps in per cent, and the profiles that are asked for at each.
STEPS = {5: 300, 10: 400, 25: 500, 50: 600, 100: 200}
POINTS = 2.0


def answers(demo: Demo, asked: int) -> float:
    """The share of profiles that come with posts, in per cent."""
    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(lambda _: demo.profiles(), range(asked // 4)))
    # Without a user there is no profile at all.
    found = [profile for each in rounds for profile in each if "degraded" in profile]
    return 100 * sum("posts" not in each["degraded"] for each in found) / len(found)


def counters(demo: Demo) -> Counter[str]:
    """What the breakers named posts of all instances have counted since their start."""
    found: Counter[str] = Counter()
    for url in demo.shop()["peers"]["profile-api"]:
        for each in http.get(f"{url}/breakers").json():
            if each["name"] == "posts":
                found.update(each["counts"])
    return found


def follows(demo: Demo, per_cent: int) -> bool:
    """Whether the calls follow the share, and the answers the calls."""
    told = []
    for _ in range(3):
        before = counters(demo)
        seen = answers(demo, STEPS[per_cent])
        counts = counters(demo)
        counts.subtract(before)
        passed = sum(counts[name] for name in ("success", "failure", "timeout", "ignored"))
        calls = passed + counts["rejected"]
        let, well = 100 * passed / calls, 100 * counts["success"] / calls
        told.append(f"{let:.1f} % of {calls} calls passed, {well:.1f} % well; {seen:.1f} % seen")
        if abs(let - per_cent) <= POINTS and abs(seen - well) <= POINTS:
            return True
    raise AssertionError(f"{per_cent} % were to pass: {told}")


@pytest.mark.usefixtures("hands_off")
def test_up_in_steps_to_automatic_and_the_answers_follow(operator: Visit, demo: Demo) -> None:
    page = operator.page
    eventually(lambda: not any("posts" in each["degraded"] for each in demo.profiles()), 40)
    page.goto(f"{demo.url}/services/profile-api/breakers/posts")
    primary, banner = page.locator("[data-primary]"), page.locator("[data-f=override]")
    form = page.locator("#act-dialog")
    share = form.get_by_label("Share of the calls")
    expect(primary).to_be_visible()
    page.keyboard.press("p")
    for step in STEPS:
        if step != min(STEPS):
            expect(primary).to_have_text(f"Step up to {step}%")
            primary.click()
        else:
            form.get_by_label("Reason").fill("warming the cache")
        expect(share).to_have_value(str(step))
        form.locator("footer button").click()
        expect(form).to_be_hidden()
        expect(banner).to_contain_text(f"Limited to {step}% by operator", timeout=30_000)
        expect(banner).to_contain_text("in force on all 4 instances", timeout=30_000)
        assert follows(demo, step)
    expect(primary).to_have_text("Back to automatic")
    primary.click()
    form.get_by_label("Reason").fill("it is warm")
    form.locator("footer button").click()
    expect(banner).to_be_hidden(timeout=30_000)
    assert operator.complaints == []
