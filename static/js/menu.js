import { breakerUrl, parts, setText } from "./dom.js";
import { isolated } from "./names.js";

const PHONE = matchMedia("(max-width: 760px)");
const GAP = 6;

/** One menu of acts for all rows; in the top layer, so that no row cuts it off.
 * @param {HTMLElement} wall */
export function rowMenu(wall) {
  const menu = document.getElementById("row-menu");
  if (!menu) return;
  const part = parts(menu);
  wall.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("[data-menu]");
    const row = /** @type {HTMLElement | null} */ (button?.closest(".breaker") ?? null);
    if (!button || !row) return;
    const { service = "", breaker = "" } = row.dataset;
    const url = breakerUrl(service, breaker);
    for (const link of menu.querySelectorAll("a")) {
      link.href = link.dataset.act ? `${url}/${link.dataset.act}` : url;
    }
    setText(part.whom, `${isolated(breaker)} of ${isolated(service)}`);
    // TypeScript does not know the argument yet.
    /** @type {any} */ (menu).showPopover({ source: button });
    place(menu, button);
  });
  menu.addEventListener("click", () => menu.hidePopover());
  // A menu that stays where it was while its row moves away would act on what nobody meant.
  addEventListener("scroll", () => menu.matches(":popover-open") && !PHONE.matches && menu.hidePopover(), {
    passive: true,
  });
}

/** @param {HTMLElement} menu @param {Element} button */
function place(menu, button) {
  if (PHONE.matches) {
    menu.style.removeProperty("top");
    menu.style.removeProperty("left");
    return;
  }
  const at = button.getBoundingClientRect();
  const { offsetWidth: w, offsetHeight: h } = menu;
  const below = at.bottom + GAP + h < innerHeight;
  menu.style.top = `${below ? at.bottom + GAP : Math.max(GAP, at.top - GAP - h)}px`;
  menu.style.left = `${Math.max(GAP, at.right - w)}px`;
}
