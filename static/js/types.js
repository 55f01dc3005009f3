/**
 * What comes over the live socket; see dashboard/fleet/frame_types.py and dashboard/fleet/snapshot/summary.py. What
 * only a full frame has is not there on the wall.
 *
 * @typedef {{id: string, host: string, pid: number, version: string, zone: string,
 *   seen_at: number, stale: boolean, revision: number, over_capacity?: string[],
 *   tags?: string[], unknown?: string[]}} InstanceView
 * @typedef {{id: string, state: string, since_at: number, cause: string, in_flight: number,
 *   would_be_open: boolean, stale: boolean}} BreakerAtInstance
 * @typedef {{at: number, before: string, after: string, cause: string, instance: string}} Last
 * @typedef {{id: string, began: number, cause: string, instance: string, instances: number,
 *   failed_tests: number, passed_tests: number, refused: number}} Outage see dashboard/fleet/outages.py
 * @typedef {{id: string, state: string, reason: string, by: string, expires_at: number,
 *   created_at: number, applied: number, total: number, pending: string[], share?: number,
 *   refused: {instance: string, reason: string}[]}} OverrideView
 * @typedef {{service: string, name: string, state: string, states: Record<string, number>,
 *   instances: BreakerAtInstance[], rate: number, ran: number,
 *   failed: number, refused: number, failed_pct: number | null,
 *   p50_ms: number | null, p95_ms: number | null, p99_ms: number | null,
 *   counts: Record<string, number>, spark: number[], spark_err: number[],
 *   tail: number[], tail_err: number[], second: number, idle_half_open?: boolean,
 *   last: Last | null, override: OverrideView | null, outage: Outage | null}} BreakerView
 * @typedef {{type: "frame", service: string, seq: number, at: number, full: boolean,
 *   interval_s: number, breakers: BreakerView[], instances: InstanceView[],
 *   removed: {breakers: string[], instances: string[]},
 *   over_capacity: {breakers: number, instances: number}}} Frame
 * @typedef {{name: string, seq: number, interval_s: number, instances: InstanceView[],
 *   breakers: BreakerView[], over_capacity: {breakers: number, instances: number}}} ServiceView
 * @typedef {{type: "snapshot", at: number, now: number, services: ServiceView[]}} Snapshot
 * @typedef {{zones: string[], versions: string[], stale: number, total: number}} Facts
 * @typedef {{key: string, view: BreakerView, service: string, name: string, text: string}} Entry
 */
export {};
