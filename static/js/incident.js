/** The page of an open incident follows it: what has changed on the server replaces what is shown. */

import { freshPage } from "./fresh-page.js";

const EVERY_MS = 3000;
const PARTS = "[data-part]";
const serializer = new XMLSerializer();

/** Whether somebody types or chooses here, or has the focus on what would be replaced.
 * @param {Element} part */
const isInUse = (part) => part.contains(document.activeElement) && document.activeElement?.id !== "acknowledge";

/** Text without the tokens of forms, which differ each time. @param {Element} part */
function content(part) {
  const copy = /** @type {Element} */ (part.cloneNode(true));
  for (const each of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) each.remove();
  for (const each of copy.querySelectorAll("[autofocus]")) each.removeAttribute("autofocus");
  const texts = [...copy.childNodes].map((each) => serializer.serializeToString(each));
  return texts.join("").replaceAll(/\s+/g, " ");
}

/** @param {Document} page @returns {boolean} whether anything was replaced */
function follow(page) {
  let changed = false;
  for (const fresh of page.querySelectorAll(PARTS)) {
    const shown = document.getElementById(fresh.id);
    if (!shown || isInUse(shown) || content(shown) === content(fresh)) continue;
    const hadFocus = shown.contains(document.activeElement);
    shown.replaceChildren(...fresh.childNodes);
    if (hadFocus) document.getElementById("acknowledge")?.focus();
    changed = true;
  }
  return changed;
}

const page = /** @type {HTMLElement | null} */ (document.querySelector("[data-follow]"));
const picture = /** @type {HTMLImageElement | null} */ (document.querySelector(".incident-picture"));
const source = picture?.src ?? "";
let looks = 0;

async function look() {
  const fresh = document.hidden ? null : await freshPage(page?.dataset.follow ?? "");
  if (fresh && follow(fresh) && picture) picture.src = `${source}?${++looks}`;
  setTimeout(look, EVERY_MS);
}

if (page) setTimeout(look, EVERY_MS);
