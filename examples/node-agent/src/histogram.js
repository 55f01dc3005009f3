// Latencies in exponential buckets, as the protocol has them: bucket i holds the values in
// (2 ** (i / 8), 2 ** ((i + 1) / 8)] seconds.

const SCALE = 8;
const LOWEST = -160;
const HIGHEST = 17 * SCALE;
const MIN_S = 2 ** ((LOWEST + 1) / SCALE);
const MAX_S = 2 ** (HIGHEST / SCALE);

/** The bucket that holds a latency. @param {number} seconds @returns {number} */
export function bucketIndex(seconds) {
  if (!(seconds > MIN_S)) return LOWEST;
  if (seconds > MAX_S) return HIGHEST;
  return Math.ceil(Math.log2(seconds) * SCALE) - 1;
}

/** Counts by bucket; bounded by the number of buckets there are. */
export class Histogram {
  /** @type {Record<string, number>} */
  buckets = {};
  sum_s = 0;

  /** @param {number} seconds */
  record(seconds) {
    const index = bucketIndex(seconds);
    this.buckets[index] = (this.buckets[index] ?? 0) + 1;
    this.sum_s += seconds;
  }
}
