import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { Watched } from "../src/index.js";

const OPTIONS = { timeout: 50, resetTimeout: 60_000, volumeThreshold: 2 };

/** @param {object} [options] @returns {[Watched, (fails: boolean) => void]} */
function watched(options = {}) {
  let failing = false;
  const action = async () => {
    if (failing) throw new Error("down");
    return "up";
  };
  return [new Watched("posts", action, { ...OPTIONS, ...options }), (fails) => (failing = fails)];
}

/** @param {Watched} posts @param {number} n @returns {Promise<string[]>} */
async function fire(posts, n) {
  const outcomes = [];
  for (let i = 0; i < n; i++) outcomes.push(await posts.fire().catch((error) => error.code ?? error.message));
  return outcomes;
}

test("every call is counted once, with its latency", async () => {
  const [posts, fail] = watched();
  await fire(posts, 3);
  fail(true);
  await fire(posts, 6);
  const { counts, histogram, state, transitions } = posts.drain();
  assert.equal(counts.success, 3);
  assert.equal(counts.failure + counts.rejected, 6);
  const sum = Object.values(histogram.buckets).reduce((a, b) => a + b, 0);
  assert.equal(sum, counts.success + counts.failure);
  assert.equal(state, "open");
  assert.deepEqual([transitions[0].from, transitions[0].to, transitions[0].id], ["closed", "open", 1]);
  assert.ok(transitions[0].window.failure_rate > 0.5);
  assert.equal(posts.hasNews, false);
});

test("timeouts, full bulkheads, ignored errors and fallbacks have their own names", async () => {
  const slow = new Watched("slow", () => sleep(200), { ...OPTIONS, timeout: 20, capacity: 1, volumeThreshold: 100 });
  await Promise.allSettled([slow.fire(), slow.fire()]);
  assert.deepEqual(slow.drain().counts, { timeout: 1, bulkhead_full: 1 });
  const [picky, fail] = watched({ errorFilter: () => true });
  fail(true);
  await fire(picky, 1);
  fail(false);
  await fire(picky, 1);
  assert.deepEqual(picky.drain().counts, { ignored: 1, success: 1 });
  const [kind, failing] = watched();
  kind.breaker.fallback(() => "instead");
  failing(true);
  assert.deepEqual(await fire(kind, 1), ["instead"]);
  assert.deepEqual(kind.drain().counts, { failure: 1, fallback: 1 });
});

test("forced open: opossum refuses, whatever its own timer says", async () => {
  const [posts] = watched({ resetTimeout: 5 });
  assert.equal(posts.obey({ id: "o", breaker: "posts", state: "forced_open" }), "");
  await sleep(60);
  assert.equal(posts.state, "forced_open");
  assert.equal(posts.breaker.opened, true);
  posts.breaker.close();
  assert.deepEqual(await fire(posts, 2), ["EOPENBREAKER", "EOPENBREAKER"]);
  assert.deepEqual(posts.drain().counts, { rejected: 2 });
});

test("lifting forced open leads to half-open, and a probe that succeeds closes", async () => {
  const [posts] = watched();
  posts.obey({ id: "o", breaker: "posts", state: "forced_open" });
  posts.obey(null);
  await sleep(20);
  assert.equal(posts.state, "half_open");
  assert.deepEqual(await fire(posts, 1), ["up"]);
  assert.equal(posts.state, "closed");
  const told = posts.drain().transitions.map((each) => `${each.from} ${each.to}`);
  assert.deepEqual(told, ["closed forced_open", "forced_open open", "open half_open", "half_open closed"]);
  assert.equal(posts.breaker.options.resetTimeout, 60_000);
});

for (const state of ["forced_closed", "metrics_only"]) {
  test(`${state}: everything passes, and it tells that it would be open`, async () => {
    const [posts, fail] = watched();
    posts.obey({ id: "o", breaker: "posts", state });
    fail(true);
    assert.deepEqual(new Set(await fire(posts, 8)), new Set(["down"]));
    const told = posts.drain();
    assert.deepEqual([told.state, told.would_be_open], [state, true]);
    posts.obey(null);
    await fire(posts, 1);
    assert.equal(posts.state, "open");
  });
}

test("an override ends by itself", async () => {
  const [posts] = watched();
  posts.obey({ id: "o", breaker: "posts", state: "forced_closed", expires_in_s: 0.02 });
  await sleep(60);
  assert.equal(posts.state, "closed");
  assert.equal(posts.drain().cause, "expired");
});

test("what cannot be obeyed is refused with the reason", () => {
  const [posts] = watched();
  assert.match(posts.obey({ id: "o", breaker: "posts", state: "ajar" }), /ajar is no override/);
  assert.match(posts.obey({ id: "o", breaker: "posts", state: "forced_open", expires_in_s: -1 }), /expired/);
  assert.match(posts.follow({ retries: 3 }), /retries cannot be changed/);
  assert.match(posts.follow({ timeout: -3 }), /timeout is -3; it must be seconds/);
  assert.equal(posts.state, "closed");
});

test("a policy lies over what the code declares, and goes away again", () => {
  const [posts] = watched();
  assert.equal(posts.follow({ timeout: 0.25, failure_rate_threshold: 0.2 }), "");
  assert.equal(posts.breaker.options.timeout, 250);
  assert.equal(posts.breaker.options.errorThresholdPercentage, 20);
  posts.follow({});
  assert.equal(posts.breaker.options.timeout, 50);
  assert.equal(posts.breaker.options.errorThresholdPercentage, 50);
});
