/** Who else has the same breakers open, or a dialog of an action on them. */

import { setText } from "./dom.js";

/** @import {Live} from "./live.js" */
/** @typedef {{person: string, doing: string, service: string, breaker: string}} Other */

const LOOKING = "looking";
const MOST_TARGETS = 20;
const NAMED = 4;
/** The titles of the actions, as the server names their dialogs. @type {Record<string, string>} */
const TITLES = {
  "force-open": "Force open",
  "force-closed": "Force closed",
  "metrics-only": "Monitor only",
  partial: "Limit to a share",
  automatic: "Back to automatic",
  reset: "Retry now",
};

/** Tell the others what this window has open, and show what theirs have. @param {Live} live */
export function followPresence(live) {
  const page = document.getElementById("breaker");
  const box = /** @type {HTMLDialogElement | null} */ (document.getElementById("act-dialog"));
  /** @type {Other[]} */
  let others = [];
  const tell = () => {
    const form = box?.open ? box.querySelector("form[data-act]") : null;
    if (form) live.here(targetsOf(form), /** @type {HTMLElement} */ (form).dataset.act ?? LOOKING);
    else if (page) live.here([[page.dataset.service ?? "", page.dataset.breaker ?? ""]], LOOKING);
    else live.here([], LOOKING);
  };
  const show = () => {
    for (const each of document.querySelectorAll("[data-presence]")) {
      const element = /** @type {HTMLElement} */ (each);
      const words = box?.contains(element) ? wordsOf(others.filter((other) => other.doing !== LOOKING)) : wordsOf(others);
      element.hidden = !words;
      setText(element, words);
    }
  };
  live.addEventListener("presence", (event) => {
    others = /** @type {CustomEvent} */ (event).detail.people;
    show();
  });
  box?.addEventListener("shown", () => {
    tell();
    show();
  });
  box?.addEventListener("close", tell);
  if (page) tell();
}

/** @param {Element} form @returns {[string, string][]} */
function targetsOf(form) {
  const input = /** @type {HTMLInputElement | null} */ (form.querySelector("input[name=targets]"));
  return JSON.parse(input?.value || "[]").slice(0, MOST_TARGETS);
}

/** Such as "ann has Force open open; bob is looking". @param {Other[]} others */
export function wordsOf(others) {
  /** @type {Map<string, string>} */
  const byPerson = new Map();
  for (const { person, doing } of others) {
    if (!byPerson.has(person)) byPerson.set(person, doing);
  }
  const said = [...byPerson]
    .slice(0, NAMED)
    .map(([person, doing]) => (doing === LOOKING ? `${person} is looking at it` : `${person} has “${TITLES[doing] ?? doing}” open`));
  if (byPerson.size > NAMED) said.push(`${byPerson.size - NAMED} more`);
  return said.length ? `Also here: ${said.join(", ")}` : "";
}
