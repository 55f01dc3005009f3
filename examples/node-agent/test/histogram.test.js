import assert from "node:assert/strict";
import { test } from "node:test";

import { bucketIndex, Histogram } from "../src/histogram.js";

test("latencies fall into the protocol's buckets", () => {
  const told = [1.0, 1.01, 0.0, Infinity, 0.5, 0.5001, 1e-7, NaN].map(bucketIndex);
  assert.deepEqual(told, [-1, 0, -160, 136, -9, -8, -160, -160]);
});

test("a histogram counts by bucket", () => {
  const histogram = new Histogram();
  for (const latency of [0.01, 0.01, 0.5]) histogram.record(latency);
  assert.deepEqual(histogram.buckets, { "-54": 2, "-9": 1 });
  assert.ok(Math.abs(histogram.sum_s - 0.52) < 1e-9);
});
