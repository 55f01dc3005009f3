/** The status page for stakeholders: asks again every ten seconds, and says so when it cannot. */

import { clock, day, minute, timeElement } from "./times.js";

const EVERY_MS = 10_000;
const OLD_AFTER_S = 45;

/** @typedef {{name: string, level: string, word: string, meaning: string, since: number | null}} Plain */
/** @typedef {{at: number, level: string, headline: string, services: Plain[]}} Shown */

const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
let heardAt = Date.now() / 1000;

setInterval(tellAge, 5000);
let next = setTimeout(ask, EVERY_MS);
addEventListener("online", ask);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});

let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  const address = `${location.pathname.replace(/\/$/, "")}/now`;
  const answer = await fetch(address, { cache: "no-store" }).catch(() => null);
  if (answer?.status === 404) location.reload();
  if (answer?.ok) {
    heardAt = Date.now() / 1000;
    show(await answer.json());
  }
  tellAge();
  asking = false;
  clearTimeout(next);
  next = setTimeout(ask, document.hidden ? 6 * EVERY_MS : EVERY_MS);
}

/** @param {Shown} shown */
function show(shown) {
  part("now").dataset.level = shown.level;
  if (part("headline").textContent !== shown.headline) part("headline").textContent = shown.headline;
  document.title = `${shown.headline} · Status`;
  part("services").replaceChildren(...shown.services.map(item));
  part("none").hidden = shown.services.length > 0;
  part("updated").replaceChildren("As of ", timeElement(shown.at, clock(shown.at)));
}

/** @param {Plain} service */
function item(service) {
  const element = document.createElement("li");
  element.dataset.level = service.level;
  const since = text("p", "", "since");
  if (service.since) {
    since.append("Since ", timeElement(service.since, `${day(service.since)}, ${minute(service.since)}`));
  }
  const sign = text("span", "", "sign");
  sign.setAttribute("aria-hidden", "true");
  element.append(
    sign,
    text("h2", service.name),
    text("b", service.word, "word"),
    text("p", service.meaning),
    since,
  );
  return element;
}

/** @param {string} tag @param {string} words @param {string} [name] */
function text(tag, words, name = "") {
  const element = document.createElement(tag);
  element.textContent = words;
  if (name) element.className = name;
  return element;
}

function tellAge() {
  const age = Date.now() / 1000 - heardAt;
  const old = part("old");
  old.hidden = age < OLD_AFTER_S;
  if (!old.hidden) {
    const since = minute(heardAt);
    const words = `This page could not update since ${since}: things may have changed. It keeps trying.`;
    if (old.textContent !== words) old.textContent = words;
  }
}
