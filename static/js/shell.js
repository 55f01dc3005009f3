import { clock, word } from "./format.js";
import { Live } from "./live.js";
import { Store } from "./store.js";

/** @import {BreakerView} from "./types.js" */

/**
 * What every live page has: the store, fed first by the page's own snapshot and then by the
 * socket; the connection's state in the header; trips read out to who cannot see them.
 *
 * @param {string[]} services
 */
export function start(services) {
  const store = new Store();
  const first = document.getElementById("snapshot")?.textContent;
  if (first) store.reset(JSON.parse(first));
  const live = new Live(services);
  live.addEventListener("snapshot", (event) => store.reset(/** @type {any} */ (event).detail));
  live.addEventListener("frame", (event) => store.lay(/** @type {any} */ (event).detail));
  live.addEventListener("status", (event) => showStatus(/** @type {any} */ (event).detail));
  announceTrips(store);
  return store;
}

let lostAt = 0;

/** @param {string} status */
function showStatus(status) {
  const badge = document.getElementById("connection");
  const banner = document.getElementById("old-data");
  if (status === "live") lostAt = 0;
  else if (status === "lost" && !lostAt) lostAt = Date.now() / 1000;
  const shown = lostAt ? "lost" : status;
  if (badge) {
    badge.dataset.status = shown;
    const words = { live: "Live", connecting: "Connecting", lost: "Reconnecting" };
    const text = /** @type {Record<string, string>} */ (words)[shown];
    if (badge.lastElementChild) badge.lastElementChild.textContent = text;
  }
  if (banner) {
    banner.hidden = !lostAt;
    if (lostAt) {
      banner.textContent = `Connection lost: what you see is of ${clock(lostAt)}. Trying again …`;
    }
  }
  document.body.classList.toggle("is-old", Boolean(lostAt));
}

/** @param {Store} store */
function announceTrips(store) {
  /** @type {Map<string, string>} */
  const known = new Map([...store.breakers].map(([key, each]) => [key, each.state]));
  const announcer = document.getElementById("announcer");
  store.addEventListener("change", (event) => {
    for (const key of /** @type {CustomEvent<Set<string>>} */ (event).detail) {
      const now = store.breakers.get(key);
      const before = known.get(key);
      if (now) known.set(key, now.state);
      else known.delete(key);
      const opened = now && before && before !== now.state && /open$/.test(now.state);
      if (opened && announcer) {
        announcer.textContent = `${now.name} of ${now.service}: ${word(now.state)}`;
      }
    }
  });
}
