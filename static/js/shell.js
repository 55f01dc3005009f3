import { span, word } from "./format.js";
import { clock, utc } from "./times.js";
import { isolated } from "./names.js";
import { Live } from "./live.js";
import { followPresence } from "./presence.js";
import { Store } from "./store.js";
import { TimeMachine } from "./time-machine.js";

/** @import {BreakerView} from "./types.js" */

const WORDS = { live: "Live", connecting: "Connecting", lost: "Reconnecting", silent: "No news" };
const SAY_AFTER_MS = 400;
const SAY_AT_MOST_EVERY_MS = 4000;
const NAMES_SAID = 3;
const REMEMBERED = 20_000;

/**
 * What every live page has: the store, fed first by the page's own snapshot and then by the
 * socket; the connection's state in the header; trips read out to who cannot see them.
 *
 * @param {string[]} services
 * @param {"full" | "wall"} detail
 */
export function start(services, detail = "full") {
  const store = new Store();
  const first = document.getElementById("snapshot")?.textContent;
  if (first) store.reset(JSON.parse(first));
  const live = new Live(services, detail);
  const panel = document.getElementById("time-machine");
  if (panel) new TimeMachine(panel, store, live);
  live.addEventListener("snapshot", (event) => store.reset(/** @type {any} */ (event).detail));
  live.addEventListener("frame", (event) => store.apply(/** @type {any} */ (event).detail));
  live.addEventListener("status", () => showStatus(live));
  showStatus(live);
  setInterval(() => showStatus(live), 1000);
  announceTrips(store);
  followPresence(live);
  return store;
}

let old = false;

/** Whether what is shown is live, and if not, since when it is old. @param {Live} live */
function showStatus(live) {
  if (live.isPaused) {
    showPast();
    return;
  }
  if (live.status === "live") old = false;
  else if (live.status !== "connecting") old = true;
  const shown = live.status === "connecting" && old ? "lost" : (live.status ?? "connecting");
  const badge = document.getElementById("connection");
  if (badge && badge.dataset.status !== shown) {
    badge.dataset.status = shown;
    if (badge.lastElementChild) badge.lastElementChild.textContent = WORDS[shown];
    document.body.classList.toggle("is-old", old);
  }
  const banner = document.getElementById("old-data");
  if (!banner) return;
  banner.hidden = !old;
  if (!old) {
    banner.replaceChildren();
    return;
  }
  if (!banner.childElementCount) {
    // Said once to who listens; the age beside it goes on silently.
    const said = document.createElement("b");
    const age = document.createElement("span");
    age.setAttribute("aria-hidden", "true");
    banner.append(said, " ", age);
  }
  const [said, age] = banner.children;
  const since = live.newsAt || Date.now() / 1000;
  const why = shown === "silent" ? "The dashboard hears nothing of the fleet" : "Connection lost";
  const words = `${why}. Data from ${clock(since)}.`;
  if (said.textContent !== words) said.textContent = words;
  age.textContent = `${span(Date.now() / 1000 - since)} old. Trying again …`;
  banner.title = utc(since);
}

/** What is shown is of the past, as somebody wished. */
function showPast() {
  const badge = document.getElementById("connection");
  if (badge && badge.dataset.status !== "past") {
    badge.dataset.status = "past";
    if (badge.lastElementChild) badge.lastElementChild.textContent = "Past";
  }
  document.body.classList.remove("is-old");
  const banner = document.getElementById("old-data");
  if (banner) banner.hidden = true;
}

/** Read trips out, a few at a time: during an incident there are many. @param {Store} store */
function announceTrips(store) {
  const announcer = document.getElementById("announcer");
  /** @type {Map<string, string>} */
  const known = new Map();
  for (const [key, each] of store.breakers) known.set(key, each.state);
  /** @type {Map<string, string>} */
  const waiting = new Map();
  let timer = 0;
  let saidAt = 0;
  const say = () => {
    timer = 0;
    saidAt = Date.now();
    const said = [...waiting.values()];
    waiting.clear();
    const more = said.length > NAMES_SAID ? `, and ${said.length - NAMES_SAID} more` : "";
    if (announcer) announcer.textContent = said.slice(0, NAMES_SAID).join(", ") + more;
  };
  store.addEventListener("change", (event) => {
    for (const key of /** @type {CustomEvent<Set<string>>} */ (event).detail) {
      const now = store.breakers.get(key);
      const before = known.get(key);
      // One that is gone may be back in a moment: a dashboard that starts knows nobody yet.
      if (!now) continue;
      known.set(key, now.state);
      if (!before || before === now.state || store.moment !== null) continue;
      const opened = now.state === "open" || now.state === "forced_open";
      if (opened || now.state === "closed") {
        waiting.set(key, `${isolated(now.name)} of ${isolated(now.service)}: ${word(now.state)}`);
      }
    }
    if (known.size > REMEMBERED) {
      for (const key of known.keys()) if (!store.breakers.has(key)) known.delete(key);
    }
    if (waiting.size && !timer) {
      const wait = Math.max(SAY_AFTER_MS, saidAt + SAY_AT_MOST_EVERY_MS - Date.now());
      timer = setTimeout(say, wait);
    }
  });
}
