/**
 * A small layered layout (after Sugiyama, Tagawa and Toda, 1981): callers on the left, what they
 * call to the right of them. The same graph always gives the same picture.
 *
 * @typedef {{from: string, to: string}} Edge
 * @typedef {{layer: number, place: number, of: number}} Place where a node stands: its layer, its
 *   place within it, and how many stand there
 */

const SWEEPS = 6;

/** @param {string[]} nodes @param {Edge[]} edges @returns {Map<string, Place>} */
export function layered(nodes, edges) {
  const ids = [...new Set(nodes)].sort();
  const known = new Set(ids);
  const sound = edges.filter((each) => known.has(each.from) && known.has(each.to) && each.from !== each.to);
  const next = neighbours(ids, withoutCycles(ids, sound));
  const layers = ordered(layersOf(ids, next), next);
  const found = new Map();
  layers.forEach((layer, n) => {
    layer.forEach((id, place) => found.set(id, { layer: n, place, of: layer.length }));
  });
  return found;
}

/** Turn round the edges that close a circle, going through the nodes by name.
 * @param {string[]} ids @param {Edge[]} edges */
function withoutCycles(ids, edges) {
  const next = neighbours(ids, edges);
  /** @type {Map<string, "open" | "done">} */
  const seen = new Map();
  /** @type {Edge[]} */
  const kept = [];
  for (const root of ids) {
    if (seen.has(root)) continue;
    // A stack of our own: a chain of thousands would overflow the engine's.
    const stack = [{ id: root, at: 0 }];
    seen.set(root, "open");
    while (stack.length) {
      const top = stack[stack.length - 1];
      const to = next.get(top.id)?.[top.at++];
      if (to === undefined) {
        seen.set(top.id, "done");
        stack.pop();
      } else if (seen.get(to) === "open") kept.push({ from: to, to: top.id });
      else {
        kept.push({ from: top.id, to });
        if (!seen.has(to)) {
          seen.set(to, "open");
          stack.push({ id: to, at: 0 });
        }
      }
    }
  }
  return kept;
}

/** @param {string[]} ids @param {Edge[]} edges @returns {Map<string, string[]>} */
function neighbours(ids, edges) {
  /** @type {Map<string, Set<string>>} */
  const found = new Map(ids.map((id) => [id, new Set()]));
  for (const { from, to } of edges) found.get(from)?.add(to);
  return new Map([...found].map(([id, to]) => [id, [...to].sort()]));
}

/** Each node one layer beyond the last of those that call it.
 * @param {string[]} ids @param {Map<string, string[]>} next */
function layersOf(ids, next) {
  const callers = new Map(ids.map((id) => [id, 0]));
  for (const to of next.values()) for (const id of to) callers.set(id, (callers.get(id) ?? 0) + 1);
  const depth = new Map(ids.map((id) => [id, 0]));
  const ready = ids.filter((id) => !callers.get(id));
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    for (const to of next.get(id) ?? []) {
      depth.set(to, Math.max(depth.get(to) ?? 0, (depth.get(id) ?? 0) + 1));
      const left = (callers.get(to) ?? 0) - 1;
      callers.set(to, left);
      if (!left) ready.push(to);
    }
  }
  /** @type {string[][]} */
  const layers = [];
  for (const id of ids) (layers[depth.get(id) ?? 0] ??= []).push(id);
  return layers;
}

/** Sort every layer by where its neighbours stand, forth and back, so that few edges cross.
 * @param {string[][]} layers @param {Map<string, string[]>} next */
function ordered(layers, next) {
  /** @type {Map<string, string[]>} */
  const before = new Map();
  for (const [from, to] of next) for (const id of to) before.set(id, [...(before.get(id) ?? []), from]);
  let best = layers;
  let fewest = crossings(layers, next);
  let now = layers;
  for (let sweep = 0; sweep < SWEEPS && fewest; sweep++) {
    const forth = sweep % 2 === 0;
    now = swept(now, forth ? before : next, forth);
    const crossed = crossings(now, next);
    if (crossed < fewest) [best, fewest] = [now, crossed];
  }
  return best;
}

/** @param {string[][]} layers @param {Map<string, string[]>} towards @param {boolean} forth */
function swept(layers, towards, forth) {
  const place = places(layers);
  const sorted = [...layers];
  const order = [...layers.keys()];
  for (const n of forth ? order : order.reverse()) {
    const middle = (/** @type {string} */ id) => {
      const others = towards.get(id) ?? [];
      if (!others.length) return place.get(id) ?? 0;
      return others.reduce((sum, each) => sum + (place.get(each) ?? 0), 0) / others.length;
    };
    const wish = new Map(sorted[n].map((id) => [id, middle(id)]));
    sorted[n] = [...sorted[n]].sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0) || (a < b ? -1 : 1));
    sorted[n].forEach((id, i) => place.set(id, share(i, sorted[n].length)));
  }
  return sorted;
}

/** @param {string[][]} layers */
function places(layers) {
  return new Map(layers.flatMap((layer) => layer.map((id, i) => [id, share(i, layer.length)])));
}

/** Where in its layer, from 0 to 1. @param {number} i @param {number} of */
const share = (i, of) => (i + 0.5) / of;

/** @param {string[][]} layers @param {Map<string, string[]>} next */
function crossings(layers, next) {
  const place = new Map(layers.flatMap((layer, n) => layer.map((id, i) => [id, { n, i }])));
  /** @type {{layer: number, from: number, to: number}[]} */
  const lines = [];
  for (const [from, to] of next) {
    for (const id of to) {
      const [a, b] = [place.get(from), place.get(id)];
      if (a && b) lines.push({ layer: a.n, from: a.i, to: b.i });
    }
  }
  let n = 0;
  for (let i = 0; i < lines.length; i++) {
    for (let j = i + 1; j < lines.length; j++) {
      const [a, b] = [lines[i], lines[j]];
      if (a.layer === b.layer && (a.from - b.from) * (a.to - b.to) < 0) n++;
    }
  }
  return n;
}
