/** What an act's form shows while it is open: its reach, errors until they are mended, and what others
 * do to the same breakers meanwhile. */

import { overrideWord, rate, span } from "./format.js";
import { isolated } from "./names.js";
import { keyOf } from "./store.js";

/** @import {Store} from "./store.js" */

const NAMED = 3;
/** From so many calls a second on the number is typed; as in dashboard/control/action_catalogue.py. */
const CONFIRM_CALLS = 1000;

/** State how far an act on the chosen instances reaches. @param {HTMLElement} box */
export function countInstances(box) {
  const words = /** @type {HTMLElement | null} */ (box.querySelector("[data-instances-reach]"));
  if (!words) return;
  const all = box.querySelectorAll("input[name=instances]");
  const chosen = box.querySelectorAll("input[name=instances]:checked").length;
  const calls = (Number(words.dataset.rate) * chosen) / (all.length || 1);
  const radio = /** @type {HTMLElement | null} */ (box.querySelector("input[name=scope][value=instances]"));
  if (radio && calls >= CONFIRM_CALLS) {
    radio.dataset.large = "1";
    radio.dataset.calls = calls.toFixed(0);
  } else if (radio) delete radio.dataset.large;
  words.textContent = chosen
    ? `About ${rate(calls)} calls/s from ${chosen} of ${all.length} instances.`
    : "Only those that are chosen below.";
}

/** An error goes when its field is mended. @param {Element} input */
export function clearErrors(input) {
  const field = input.closest(".field");
  if (!field?.classList.contains("wrong")) return;
  const { name } = /** @type {HTMLInputElement} */ (input);
  const isMended = name === "instances" ? Boolean(field.querySelector("input[name=instances]:checked")) : true;
  if (!isMended) return;
  field.classList.remove("wrong");
  for (const error of field.querySelectorAll(".error")) error.remove();
}

/** The number must be typed only where the chosen scope is large. @param {HTMLElement} box */
export function showConfirmation(box) {
  const field = /** @type {HTMLElement | null} */ (box.querySelector("[data-confirm]"));
  if (!field) return;
  const scope = /** @type {HTMLElement | null} */ (box.querySelector("input[name=scope]:checked"));
  field.hidden = !scope?.dataset.large;
  const label = field.querySelector("label");
  if (label && scope?.dataset.large) {
    label.textContent = `Type ${scope.dataset.large} (breakers) or ${scope.dataset.calls} (calls/s) to confirm`;
  }
}

/** Keep the note of a dialog on what stands on its breakers now. @param {HTMLElement} box @param {Store} store */
export function followFleet(box, store) {
  /** When each override was first seen here. @type {Map<string, number>} */
  const seenAt = new Map();
  const update = () => {
    const note = /** @type {HTMLElement | null} */ (box.querySelector("[data-standing]"));
    if (!note) return;
    const words = standing(box, store, seenAt);
    note.hidden = !words;
    if (note.textContent !== words) note.textContent = words;
  };
  store.addEventListener("change", update);
  for (const name of ["shown", "change"]) box.addEventListener(name, update);
  setInterval(update, 1000);
}

/** What else ends: an override is of the whole breaker, so that one on some instances ends what stood
 * on the others. @param {HTMLElement} box @param {string} state of the override that stands */
function elsewhere(box, state) {
  const scope = /** @type {HTMLInputElement | null} */ (box.querySelector("input[name=scope]:checked"));
  if (scope?.value !== "instances") return "";
  const others = [...box.querySelectorAll("input[name=instances]:not(:checked)")].filter(
    (each) => /** @type {HTMLElement | null} */ (each.parentElement?.querySelector(".chip"))?.dataset.state === state,
  );
  if (!others.length) return "";
  const names = others.slice(0, NAMED).map((each) => /** @type {HTMLInputElement} */ (each).value);
  const more = others.length > NAMED ? ` and ${others.length - NAMED} more` : "";
  return ` It also ends on ${names.join(", ")}${more}, which return to automatic.`;
}

/** Such as "Forced open by ann 5 s ago (“failover”); yours replaces it".
 * @param {HTMLElement} box @param {Store} store @param {Map<string, number>} seenAt */
function standing(box, store, seenAt) {
  const input = /** @type {HTMLInputElement | null} */ (box.querySelector("input[name=targets]"));
  /** @type {[string, string][]} */
  const targets = JSON.parse(input?.value || "[]");
  const now = store.now();
  const found = targets.flatMap(([service, name]) => {
    const override = store.breakers.get(keyOf(service, name))?.override;
    return override ? [{ service, name, override }] : [];
  });
  if (!found.length) return "";
  const releases = box.querySelector("form")?.dataset.act === "automatic";
  const after = releases ? "this ends it" : "yours replaces it";
  if (targets.length === 1) {
    const { override } = found[0];
    const at = override.created_at || seenAt.get(override.id) || now;
    seenAt.set(override.id, at);
    return `${overrideWord(override)} by ${override.by} ${span(now - at)} ago (“${override.reason}”); ${after}.${elsewhere(box, override.state)}`;
  }
  const names = found.slice(0, NAMED).map((each) => `${isolated(each.name)} of ${isolated(each.service)} by ${each.override.by}`);
  const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : "";
  const what = releases ? "These overrides end" : "Overrides that yours replace";
  return `${what}: ${names.join(", ")}${more}.`;
}
