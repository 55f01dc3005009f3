/** Which acts a breaker's page offers: one first, and none that would do nothing. */

import { condition } from "./condition.js";

/** @import {BreakerView} from "./types.js" */

/** What helps first in each condition. @type {Record<string, string>} */
const FIRST = {
  open: "reset",
  half_open: "reset",
  idle: "reset",
  failing: "force-open",
  unprotected: "automatic",
  closed: "force-open",
  stale: "force-open",
};

/** Whether an act would change something. @param {string} slug @param {BreakerView} view */
export function wouldChange(slug, view) {
  if (slug === "automatic") return Boolean(view.override);
  const whole = view.override && view.override.state === slug.replace("force-", "forced_").replace("metrics-only", "metrics_only");
  return !(whole && view.override && view.override.applied === view.override.total);
}

/** @param {BreakerView} view */
export const firstAct = (view) => (view.override ? "automatic" : (FIRST[condition(view)] ?? "force-open"));

/** @param {HTMLElement} root @param {BreakerView} view */
export function offerActs(root, view) {
  const primary = /** @type {HTMLAnchorElement | null} */ (root.querySelector("[data-primary]"));
  if (!primary) return;
  const first = firstAct(view);
  for (const link of root.querySelectorAll(".more-acts a[data-act]")) {
    const each = /** @type {HTMLAnchorElement} */ (link);
    const slug = each.dataset.act ?? "";
    const hide = !wouldChange(slug, view);
    if (each.hidden !== hide) each.hidden = hide;
    if (slug !== first) continue;
    if (primary.getAttribute("href") === each.getAttribute("href")) continue;
    primary.href = each.href;
    primary.textContent = each.textContent;
    primary.dataset.act = slug;
    primary.className = `button primary ${slug}`;
  }
  primary.hidden = false;
}
