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

/** How traffic returns, in per cent. */
const STEPS = [5, 10, 25, 50, 100];

/** Whether an act would change something. @param {string} slug @param {BreakerView} view */
export function wouldChange(slug, view) {
  if (slug === "automatic") return Boolean(view.override);
  // Another share may be wanted.
  if (slug === "partial") return true;
  const whole = view.override && view.override.state === slug.replace("force-", "forced_").replace("metrics-only", "metrics_only");
  return !(whole && view.override && view.override.applied === view.override.total);
}

/** @param {BreakerView} view */
export function firstAct(view) {
  if (!view.override) return FIRST[condition(view)] ?? "force-open";
  return nextStep(view) ? "partial" : "automatic";
}

/** The step after a share that is let through, in per cent; 0 where there is none. The form offers
 * the same, see dashboard/control/action_catalogue.py. @param {BreakerView} view */
export function nextStep(view) {
  const share = view.override?.share;
  return share === undefined ? 0 : (STEPS.find((step) => step > share * 100 + 0.5) ?? 0);
}

/** What the first button says. @param {string} slug @param {string | null} title @param {BreakerView} view */
const label = (slug, title, view) => (slug === "partial" && nextStep(view) ? `Step up to ${nextStep(view)}%` : title);

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
    const words = label(slug, each.textContent, view);
    if (primary.getAttribute("href") === each.getAttribute("href") && primary.textContent === words) continue;
    primary.href = each.href;
    primary.textContent = words;
    primary.dataset.act = slug;
    primary.className = `button primary ${slug}`;
  }
  primary.hidden = false;
}
