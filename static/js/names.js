/** Names as others chose them: long ones are shortened in the middle, since names often differ at their
 * ends, and those with letters that run from right to left do not turn the text around them. */

/** A name of so many characters may have to be shortened, which keeps so many at its end. */
const LONG = 14;
const TAIL = 8;
/** Letters written from right to left, and characters that control the direction. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;
const CONTROLS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** @param {string} name @param {number} most characters */
export function shortened(name, most) {
  if (name.length <= most) return name;
  const head = Math.max(1, Math.ceil((most - 1) * 0.6));
  const tail = Math.max(0, most - 1 - head);
  return `${name.slice(0, head)}…${tail ? name.slice(-tail) : ""}`;
}

/** A name within a sentence. @param {string} name */
export function isolated(name) {
  return RIGHT_TO_LEFT.test(name) ? `\u2068${name.replace(CONTROLS, "")}\u2069` : name;
}

/** Show a name in an element that may be too narrow for it: the middle gives way, the whole is there
 * for search, for copying, on hover and for assistive tools.
 * @param {HTMLElement} element @param {string} name @param {string} [title] */
export function showName(element, name, title = name) {
  if (element.dataset.name === name) return;
  element.dataset.name = name;
  const letters = [...name];
  const isLong = letters.length > LONG;
  element.classList.add("name-text");
  element.classList.toggle("shortens", isLong);
  element.title = title;
  if (!isLong) {
    element.textContent = name;
    element.removeAttribute("aria-label");
    return;
  }
  if (element instanceof HTMLAnchorElement) element.setAttribute("aria-label", name);
  element.replaceChildren(part("head", letters.slice(0, -TAIL)), part("tail", letters.slice(-TAIL)));
}

/** @param {string} kind @param {string[]} letters */
function part(kind, letters) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = letters.join("");
  return made;
}
