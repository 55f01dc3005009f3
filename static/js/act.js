import { breakerUrl } from "./dom.js";
import { clearErrors, countInstances, followFleet, showConfirmation } from "./live-form.js";

/** @import {Store} from "./store.js" */

/**
 * Acts in a dialog: the server renders the form, states what the act would do, and returns errors at
 * their fields or the outcome. Without this script the same links lead to the same form on a page of
 * its own. While the dialog is open it follows the fleet, see live-form.js.
 *
 * Dispatches `acted` on the document (detail: `{title, outcome, targets}`).
 *
 * @typedef {{service: string, made: Record<string, string | null>, kept: Record<string, string>,
 *   error: string}} Part
 * @typedef {{id: string, state: string, parts: Part[]}} Outcome
 */
const HEADERS = { "X-Requested-With": "fetch" };

const dialog = () => /** @type {HTMLDialogElement | null} */ (document.getElementById("act-dialog"));

/** @param {Store} store */
export function openActs(store) {
  const box = dialog();
  if (box) followFleet(box, store);
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(target) || target.closest("a")) menu.removeAttribute("open");
    }
    const link = target.closest("a[data-act]");
    if (link && document.body.classList.contains("is-past")) event.preventDefault();
    if (!box || !link || event.defaultPrevented || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    load(/** @type {HTMLAnchorElement} */ (link).href);
  });
  box?.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const reason = target.closest("[data-reason]");
    if (reason instanceof HTMLElement) offer(box, reason.dataset.reason ?? "");
    else if (target === box || target.closest("[data-close]")) {
      event.preventDefault();
      box.close();
    }
  });
  for (const name of ["change", "input"]) {
    box?.addEventListener(name, (event) => {
      countInstances(box);
      clearErrors(/** @type {Element} */ (event.target));
      showConfirmation(box);
    });
  }
  box?.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(/** @type {HTMLFormElement} */ (event.target));
  });
}

/** Open an act's form for breakers. @param {string} slug @param {[string, string][]} targets */
export function ask(slug, targets) {
  if (targets.length === 1) {
    load(`${breakerUrl(...targets[0])}/${slug}`);
    return;
  }
  const body = new URLSearchParams({ preview: "1", targets: JSON.stringify(targets) });
  load(`/acts/${slug}`, { method: "POST", body });
}

/** The token that a form on the page holds. */
function token() {
  const input = document.querySelector("input[name=csrfmiddlewaretoken]");
  return input instanceof HTMLInputElement ? input.value : "";
}

/** @param {string} url @param {RequestInit} options */
const post = (url, options) =>
  fetch(url, { ...options, headers: { ...HEADERS, "X-CSRFToken": token() } }).catch(() => null);

/** Send; where another tab has logged in since, with the fresh token that the server gives, once more.
 * @param {string} url @param {RequestInit} options */
async function send(url, options) {
  const response = await post(url, options);
  if (response?.status !== 403) return response;
  const fresh = (await refusal(response))?.token;
  if (!fresh) return response;
  for (const input of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) {
    if (input instanceof HTMLInputElement) input.value = fresh;
  }
  if (options.body instanceof URLSearchParams && options.body.has("csrfmiddlewaretoken")) {
    options.body.set("csrfmiddlewaretoken", fresh);
  }
  return post(url, options);
}

/** What the server says of a refused request, if it says it as JSON. @param {Response} response
 * @returns {Promise<{token?: string, errors?: Record<string, string[]>} | null>} */
const refusal = (response) => response.clone().json().catch(() => null);

/** @param {string} url @param {RequestInit} options */
async function load(url, options = {}) {
  const response = await send(url, options);
  if (response?.ok && !response.redirected) show(await response.text());
  else if (response?.redirected && !options.method) location.href = url;
  else showTrouble(response, () => load(url, options));
}

/** @param {HTMLFormElement} form */
async function submit(form) {
  const button = form.querySelector("footer button");
  button?.setAttribute("disabled", "");
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
  const title = form.querySelector("h2")?.textContent ?? "";
  const response = await send(form.action, { method: "POST", body });
  if (response?.ok && !response.redirected) {
    tell(title, /** @type {Outcome} */ (await response.json()));
    dialog()?.close();
  } else if (response?.status === 422) show(await response.text());
  else complain(form, await trouble(response));
  if (button && !response) button.textContent = "Retry";
  button?.removeAttribute("disabled");
}

/** Undo an act. @param {string} id @param {string} title
 * @returns {Promise<string>} what went wrong, or nothing */
export async function undo(id, title) {
  const body = new URLSearchParams({ act_id: crypto.randomUUID?.() ?? `undo-${Date.now()}-${Math.random()}`.slice(0, 36) });
  const response = await send(`/acts/${id}/undo`, { method: "POST", body });
  if (!response?.ok) return trouble(response);
  tell(`Undo: ${title}`, await response.json());
  return "";
}

/** @param {string} title @param {Outcome} outcome */
function tell(title, outcome) {
  document.dispatchEvent(new CustomEvent("acted", { detail: { title, outcome } }));
}

/** @param {Response | null} response @returns {Promise<string>} */
async function trouble(response) {
  if (!response) return "Not sent: the dashboard cannot be reached. Retry when the connection is back.";
  if (response.redirected) return "Not sent: you are logged out. Log in and retry.";
  const errors = (await refusal(response))?.errors;
  if (errors) return Object.values(errors).flat().join(" ");
  if (response.status === 403) return "Only operators can do this. Nothing was done.";
  return `The dashboard answered ${response.status}; whether it was done is shown on the wall.`;
}

/** @param {HTMLFormElement} form @param {string} words */
function complain(form, words) {
  form.querySelector("[data-complaint]")?.remove();
  const message = document.createElement("p");
  message.className = "error";
  message.dataset.complaint = "";
  message.setAttribute("role", "alert");
  message.textContent = words;
  form.querySelector("footer")?.before(message);
}

/** @param {Response | null} response @param {() => void} retry */
async function showTrouble(response, retry) {
  const box = dialog();
  if (!box) return;
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "act-form";
  const footer = document.createElement("footer");
  const button = document.createElement("button");
  button.className = "button";
  button.dataset.close = "";
  button.textContent = "Close";
  const again = document.createElement("button");
  again.type = "button";
  again.className = "button primary";
  again.textContent = "Retry";
  again.addEventListener("click", retry);
  footer.append(button, again);
  form.append(footer);
  box.replaceChildren(form);
  complain(form, await trouble(response));
  if (!box.open) box.showModal();
}

/** Our own server's form, rendered with every name escaped. @param {string} html */
function show(html) {
  const box = dialog();
  if (!box) return;
  box.replaceChildren(document.createRange().createContextualFragment(html));
  if (!box.open) box.showModal();
  countInstances(box);
  showConfirmation(box);
  box.dispatchEvent(new Event("shown"));
  const wrong = box.querySelector(".wrong input:not([type=radio]):not([type=checkbox])");
  const first = wrong ?? box.querySelector("input[name=reason]");
  if (first instanceof HTMLElement) first.focus();
}

/** @param {HTMLElement} box @param {string} reason */
function offer(box, reason) {
  const input = /** @type {HTMLInputElement | null} */ (box.querySelector("input[name=reason]"));
  if (!input) return;
  input.value = reason;
  input.focus();
}
