/** The table of kill paths follows the answers of the instances while a drill waits for some. */

import { freshPage } from "./fresh-page.js";

const EVERY_MS = 1000;
const ROWS = "#kill-path tbody";

async function look() {
  const rows = document.hidden ? null : (await freshPage(location.pathname))?.querySelector(ROWS);
  // A row that somebody's focus is in stays until they leave it.
  const shown = document.querySelector(ROWS);
  if (rows && !shown?.contains(document.activeElement)) shown?.replaceWith(rows);
  again();
}

function again() {
  if (document.querySelector(`${ROWS} tr[data-waits]`)) setTimeout(() => void look(), EVERY_MS);
}

again();
