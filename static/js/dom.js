/** Small helpers. Names and causes come from agents: everything is written as text, never HTML. */

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Set text only where it differs, so that nothing is laid out for nothing.
 * @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {string} name @param {string} value */
export function setAttr(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** The parts of an element by their data-f. @param {ParentNode} root */
export function parts(root) {
  /** @type {Record<string, HTMLElement>} */
  const found = {};
  for (const each of root.querySelectorAll("[data-f]")) {
    const part = /** @type {HTMLElement} */ (each);
    found[part.dataset.f ?? ""] = part;
  }
  return found;
}

/** @param {string} tag @param {string} text @param {string} [className] */
export function make(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** @param {string} id @returns {DocumentFragment} */
export function cloneTemplate(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {DocumentFragment} */ (template.content.cloneNode(true));
}

/** The address of a breaker's page; a name is quoted twice, see dashboard/common/url_converters.py.
 * @param {string} service @param {string} name */
export function breakerUrl(service, name) {
  const quote = (/** @type {string} */ text) =>
    encodeURIComponent(encodeURIComponent(text).replace(/[!'()*]/g, escape));
  return `/services/${quote(service)}/breakers/${quote(name)}`;
}

/** Show a state as shape, word and colour. @param {HTMLElement} badge @param {string} state
 * @param {string} text */
export function showState(badge, state, text) {
  if (badge.dataset.state !== state) {
    badge.dataset.state = state;
    const use = badge.querySelector("use");
    const known = document.getElementById(`i-${state}`) ? state : "stale";
    use?.setAttribute("href", `#i-${known}`);
  }
  const label = badge.querySelector("b");
  if (label) setText(label, text);
}

/** The address of a service's page. @param {string} service */
export const serviceUrl = (service) => breakerUrl(service, "").replace(/\/breakers\/$/, "");

/** @param {string} tag @param {Record<string, string | number>} attributes
 * @param {Element[]} children @returns {SVGElement} */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
