/** The colours of the styleguide, which no inline style may say. */
import { start } from "./shell.js";

start([]);
for (const each of document.querySelectorAll("[data-token]")) {
  const swatch = /** @type {HTMLElement} */ (each);
  swatch.style.background = `var(${swatch.dataset.token})`;
}
