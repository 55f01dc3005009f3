/** Colours of the theme for what cannot say var(): canvases and charts. */

/** @type {Map<string, string>} */
const known = new Map();
/** @type {HTMLElement | null} */
let sample = null;

const forget = () => known.clear();
document.addEventListener("themechange", forget);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);

/** A token as the theme in force has it, such as `rgb(160, 0, 25)`.
 * @param {string} name as in tokens.css, with its dashes */
export function colour(name) {
  const found = known.get(name);
  if (found) return found;
  if (!sample) {
    sample = document.createElement("i");
    sample.hidden = true;
    document.body.append(sample);
  }
  sample.style.color = `var(${name})`;
  const resolved = getComputedStyle(sample).color;
  known.set(name, resolved);
  return resolved;
}
