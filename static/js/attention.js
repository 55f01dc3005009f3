/** The wall's default order: what needs attention, ranked by harm; healthy services in a line each. */

import { condition, lost, needsAttention, severity } from "./condition.js";
import { rate, span } from "./format.js";

/** @import {Group, Sort, Space} from "./order.js" */
/** @import {Entry} from "./types.js" */

/** Breakers of one dependency are one line from so many services on. */
const SERVICES_OF_A_FOLD = 3;
/** A fleet of so few breakers is shown whole. */
const SHOWN_WHOLE = 40;

/**
 * @param {Entry[]} entries sorted by service and name
 * @param {(some: Entry[]) => Entry[]} sorted
 * @param {Space} space
 * @param {Sort} sort
 * @returns {Group[]}
 */
export function attentionGroups(entries, sorted, space, sort) {
  /** @type {Entry[]} */
  const bad = [];
  /** @type {Map<string, Entry[]>} */
  const healthy = new Map();
  for (const entry of entries) {
    if (needsAttention(entry.view)) bad.push(entry);
    else {
      const some = healthy.get(entry.service);
      if (some) some.push(entry);
      else healthy.set(entry.service, [entry]);
    }
  }
  const groups = bad.length ? badGroups(bad, entries, space, sort) : [];
  const folds = entries.length > SHOWN_WHOLE;
  for (const [service, some] of healthy) {
    const id = `healthy ${service}`;
    groups.push({
      id,
      title: service,
      service,
      entries: sorted(some),
      heading: true,
      folds,
      collapsed: folds && !space.open.has(id),
      kind: "healthy",
    });
  }
  return groups;
}

/** @typedef {{id: string, title: string, entries: Entry[], harm: number, kind: Group["kind"], note: string}} Line */

/**
 * @param {Entry[]} bad @param {Entry[]} all @param {Space} space @param {Sort} sort
 * @returns {Group[]}
 */
function badGroups(bad, all, space, sort) {
  let lines = linesOf(bad, all, space.now);
  if (sort === "name") lines.sort((a, b) => (a.title < b.title ? -1 : 1));
  else lines.sort(byHarm);
  if (lines.length > space.lines) lines = withoutOverflow(lines, space.lines);
  const sum = bad.reduce((n, each) => n + lost(each.view), 0);
  /** @type {Group[]} */
  const groups = [
    {
      id: "attention",
      title: "Needs attention",
      service: null,
      entries: [],
      heading: true,
      collapsed: false,
      kind: "attention",
      note: `${bad.length} of ${all.length} breakers${sum >= 0.05 ? ` · ${rate(sum)} calls/s lost at them` : ""}`,
    },
  ];
  for (const { id, title, entries, kind, note } of lines) {
    const last = groups[groups.length - 1];
    if (kind) {
      const collapsed = !space.open.has(id);
      groups.push({ id, title, service: null, entries, heading: true, folds: true, collapsed, kind, note });
    } else if (last.heading) {
      groups.push({ id: `rows ${id}`, title: "", service: null, entries, heading: false, collapsed: false });
    } else last.entries.push(...entries);
  }
  return groups;
}

/** Each breaker is a line, or many of one dependency are. @param {Entry[]} bad @param {Entry[]} all
 * @param {number} now @returns {Line[]} */
function linesOf(bad, all, now) {
  const byDependency = grouped(bad);
  const totals = new Map();
  for (const { name } of all) totals.set(name, (totals.get(name) ?? 0) + 1);
  /** @type {Line[]} */
  const lines = [];
  for (const [name, entries] of byDependency) {
    if (entries.length < SERVICES_OF_A_FOLD) {
      for (const each of entries) {
        lines.push({ id: each.key, title: each.name, entries: [each], harm: lost(each.view), kind: undefined, note: "" });
      }
      continue;
    }
    entries.sort((a, b) => lost(b.view) - lost(a.view));
    const harm = entries.reduce((n, each) => n + lost(each.view), 0);
    lines.push({
      id: `dependency ${name}`,
      title: name,
      entries,
      harm,
      kind: "dependency",
      note: dependencyNote(entries, totals.get(name), harm, now),
    });
  }
  return lines;
}

/** Every breaker by what it guards, the worst dependency first: one line for each, its callers
 * beneath. @param {Entry[]} entries @param {(some: Entry[]) => Entry[]} sorted @param {Space} space
 * @param {Sort} sort @returns {Group[]} */
export function dependencyGroups(entries, sorted, space, sort) {
  const lines = [...grouped(entries)].map(([name, some]) => ({
    id: `dependency ${name}`,
    title: name,
    entries: some,
    harm: some.reduce((n, each) => n + lost(each.view), 0),
    kind: /** @type {const} */ ("dependency"),
    note: "",
  }));
  if (sort === "name") lines.sort((a, b) => (a.title < b.title ? -1 : 1));
  else lines.sort(byHarm);
  return lines.map((line) => {
    const bad = line.entries.filter((each) => needsAttention(each.view));
    const calls = line.entries.reduce((n, each) => n + each.view.rate, 0);
    const well = `closed in ${line.entries.length} service${line.entries.length === 1 ? "" : "s"}`;
    const what = bad.length ? dependencyNote(bad, line.entries.length, line.harm, space.now) : well;
    return {
      id: line.id,
      title: line.title,
      service: null,
      entries: sorted(line.entries),
      heading: true,
      folds: true,
      collapsed: !space.open.has(line.id),
      kind: bad.length ? line.kind : "healthy",
      chooses: true,
      note: `${what} · ${rate(calls)} calls/s`,
    };
  });
}

/** Such as "open in 18 of 19 services · 460 calls/s lost · failing for 6 min".
 * @param {Entry[]} entries @param {number} total @param {number} harm @param {number} now */
function dependencyNote(entries, total, harm, now) {
  const open = entries.filter((each) => each.view.state === "open").length;
  const what = open === entries.length ? "open" : open ? `open in ${open}, in trouble` : "in trouble";
  const where = total === 1 ? "its one service" : `${entries.length} of ${total} services`;
  const said = [`${what} in ${where}`];
  if (harm >= 0.05) said.push(`${rate(harm)} calls/s lost`);
  const began = Math.min(...entries.map((each) => each.view.outage?.began ?? Infinity));
  if (began < Infinity) said.push(`failing for ${span(now - began)}`);
  return said.join(" · ");
}

/** What does not fit is one line, which tells the number and the harm.
 * @param {Line[]} lines @param {number} most @returns {Line[]} */
function withoutOverflow(lines, most) {
  const kept = lines.slice(0, Math.max(1, most - 1));
  const entries = lines.slice(kept.length).flatMap((line) => line.entries);
  const harm = entries.reduce((n, each) => n + lost(each.view), 0);
  const open = entries.filter((each) => each.view.state === "open").length;
  const note = [`${open} open`, `${rate(harm)} calls/s lost`].join(" · ");
  kept.push({ id: "rest", title: `${entries.length} more breakers`, entries, harm, kind: "rest", note });
  return kept;
}

/** @param {Entry[]} entries */
function grouped(entries) {
  /** @type {Map<string, Entry[]>} */
  const found = new Map();
  for (const each of entries) {
    const some = found.get(each.name);
    if (some) some.push(each);
    else found.set(each.name, [each]);
  }
  return found;
}

/** Calls lost, in powers of two so that places do not change all the time; then the severity, how
 * many callers, and who fails longest. @param {Line} a @param {Line} b */
function byHarm(a, b) {
  return (
    step(b.harm) - step(a.harm) ||
    worst(a) - worst(b) ||
    callers(b) - callers(a) ||
    began(a) - began(b) ||
    (a.id < b.id ? -1 : 1)
  );
}

/** @param {number} harm */
const step = (harm) => (harm < 0.05 ? 0 : 1 + Math.max(0, Math.round(Math.log2(harm * 20))));

/** @param {Line} line */
const worst = ({ entries }) => entries.reduce((n, each) => Math.min(n, severity(condition(each.view))), 99);

/** @param {Line} line */
const callers = ({ entries }) =>
  entries.reduce((n, { view }) => n + Object.values(view.states).reduce((sum, each) => sum + each, 0), 0);

/** @param {Line} line */
const began = ({ entries }) =>
  entries.reduce((n, { view }) => Math.min(n, view.outage?.began ?? view.last?.at ?? Infinity), Infinity);
