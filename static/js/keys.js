/** @typedef {{move: (by: number, choose: boolean) => void, enter: () => void,
 *   choose: (toHere: boolean) => void, act: (slug: string) => void, escape: () => void,
 *   search: () => void, tiles: () => void, undo: () => void, help: () => void, ends: (last: boolean) => void}} Hands */

/** The act that a letter opens the form of. @type {Record<string, string>} */
export const ACTS = { o: "force-open", c: "force-closed", m: "metrics-only", p: "partial", a: "automatic", r: "reset" };

/** The wall's keys. Inside of fields, dialogs and menus they are only letters. @param {Hands} wall */
export function listenToKeys(wall) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (document.querySelector("dialog[open], [popover]:popover-open")) return;
    const typing = target.matches("input:not([type=checkbox]), textarea, select, summary");
    if (event.key === "Escape") wall.escape();
    else if (typing) return;
    else if (!press(wall, event, target)) return;
    event.preventDefault();
  });
}

/** @param {Hands} wall @param {KeyboardEvent} event @param {HTMLElement} target */
function press(wall, event, target) {
  const { key, shiftKey } = event;
  const letter = key.toLowerCase();
  if (key === "/") wall.search();
  else if (key === "?") wall.help();
  else if (letter === "j" || key === "ArrowDown") wall.move(1, shiftKey);
  else if (letter === "k" || key === "ArrowUp") wall.move(-1, shiftKey);
  else if (key === "Home" || key === "End") wall.ends(key === "End");
  else if (letter === "x") wall.choose(shiftKey);
  else if (letter === "u") wall.undo();
  else if (letter === "t") wall.tiles();
  else if (key === "Enter" && !target.matches("a, button, input")) wall.enter();
  else if (ACTS[letter] && !shiftKey) wall.act(ACTS[letter]);
  else return false;
  return true;
}

/** The acts' keys on a page of one breaker: each opens the form that its button opens.
 * @param {ParentNode} buttons */
export function listenToActs(buttons) {
  for (const [letter, slug] of Object.entries(ACTS)) {
    buttons.querySelector(`[data-act="${slug}"]`)?.setAttribute("aria-keyshortcuts", letter);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (/** @type {Element} */ (event.target).closest("input, textarea, select")) return;
    const button = buttons.querySelector(`[data-act="${ACTS[event.key]}"]`);
    if (button) /** @type {HTMLElement} */ (button).click();
  });
}
