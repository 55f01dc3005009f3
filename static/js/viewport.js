/** @import {Group} from "./order.js" */
/** @import {Entry} from "./types.js" */
/** @typedef {{id: string, x: number, y: number, w: number, h: number, group: Group,
 *   entry: Entry | null, index: number}} Cell */
/**
 * @typedef {object} Part one row or one group's heading
 * @property {HTMLElement} element
 * @property {(cell: Cell) => void} show
 */

const OVERSCAN_PX = 320;
/** So many cells are simply all there, for the browser's own search and for the print. */
const ALL_BELOW = 120;

/**
 * Shows a long list by the part of it that is seen. Rows are taken from a pool and have their place
 * by transform; the order in the document is the order on the screen.
 */
export class Viewport {
  /**
   * @param {HTMLElement} root
   * @param {(kind: "group" | "row") => Part} make
   */
  constructor(root, make) {
    this.root = root;
    this.make = make;
    /** @type {Cell[]} */
    this.cells = [];
    /** @type {Map<string, Part>} */
    this.shown = new Map();
    /** @type {Record<string, Part[]>} */
    this.pool = { group: [], row: [] };
    this.all = false;
    /** A row that stays in the document wherever the screen is: it has the focus. */
    this.kept = "";
    this.top = 0;
    this.rowH = 0;
    this.groupH = 0;
    this.headH = 0;
    this.tileW = 0;
    this.gap = 0;
    this.width = 0;
    this.measure();
  }

  /** Read sizes from the stylesheet; they depend on density and screen. */
  measure() {
    const style = getComputedStyle(this.root);
    const px = (/** @type {string} */ name) => parseFloat(style.getPropertyValue(name)) || 0;
    this.rowH = px("--row-h");
    this.groupH = px("--group-h");
    this.headH = px("--head-h");
    this.tileW = px("--tile-w");
    this.gap = px("--tile-gap");
    this.width = this.root.clientWidth;
    this.top = this.root.getBoundingClientRect().top + scrollY;
  }

  /** @param {Group[]} groups */
  place(groups) {
    const columns = this.tileW
      ? Math.max(1, Math.floor((this.width + this.gap) / (this.tileW + this.gap)))
      : 1;
    const w = this.tileW ? (this.width - this.gap * (columns - 1)) / columns : this.width;
    /** @type {Cell[]} */
    const cells = [];
    let y = this.headH;
    for (const group of groups) {
      if (group.heading) {
        const id = `group ${group.id}`;
        cells.push({ id, x: 0, y, w: this.width, h: this.groupH, group, entry: null, index: cells.length });
        y += this.groupH;
      }
      if (group.collapsed) continue;
      const step = this.rowH + (this.tileW ? this.gap : 0);
      group.entries.forEach((entry, i) => {
        const x = (i % columns) * (w + this.gap);
        const row = { id: entry.key, x, y: y + Math.floor(i / columns) * step, w, h: this.rowH };
        cells.push({ ...row, group, entry, index: cells.length });
      });
      y += Math.ceil(group.entries.length / columns) * step;
    }
    this.cells = cells;
    this.root.style.height = `${y}px`;
    this.root.setAttribute("aria-rowcount", String(cells.length + 1));
    this.paint();
  }

  /** Put what is seen into the document and take the rest out. */
  paint() {
    const wanted = this.#wanted();
    const ids = new Set(wanted.map((cell) => cell.id));
    for (const [id, part] of this.shown) {
      if (ids.has(id)) continue;
      this.shown.delete(id);
      part.element.remove();
      this.pool[part.element.classList.contains("group") ? "group" : "row"].push(part);
    }
    const focused = document.activeElement;
    /** @type {Element | null} */
    let after = this.root.firstElementChild;
    for (const cell of wanted) {
      let part = this.shown.get(cell.id);
      if (!part) {
        const kind = cell.entry ? "row" : "group";
        part = this.pool[kind].pop() ?? this.make(kind);
        this.shown.set(cell.id, part);
      }
      this.#position(part, cell);
      if (after?.nextElementSibling !== part.element) after?.after(part.element);
      after = part.element;
    }
    // Moving an element takes the focus from it.
    if (focused !== document.activeElement && focused instanceof HTMLElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
  }

  #wanted() {
    if (this.all || this.cells.length <= ALL_BELOW) return this.cells;
    const from = scrollY - this.top - OVERSCAN_PX;
    const to = scrollY - this.top + innerHeight + OVERSCAN_PX;
    let low = 0;
    let high = this.cells.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.cells[middle].y + this.cells[middle].h < from) low = middle + 1;
      else high = middle;
    }
    const wanted = [];
    for (let i = low; i < this.cells.length && this.cells[i].y <= to; i += 1) {
      wanted.push(this.cells[i]);
    }
    if (this.kept && this.shown.has(this.kept) && !wanted.some((cell) => cell.id === this.kept)) {
      const kept = this.find(this.kept);
      if (kept && wanted.length && kept.index < wanted[0].index) wanted.unshift(kept);
      else if (kept) wanted.push(kept);
    }
    return wanted;
  }

  /** @param {Part} part @param {Cell} cell */
  #position(part, cell) {
    const { element } = part;
    const at = `translate(${cell.x}px, ${cell.y}px)`;
    const rowIndex = String(cell.index + 2);
    if (element.style.transform !== at) element.style.transform = at;
    const width = `${cell.w}px`;
    if (element.style.width !== width) element.style.width = width;
    if (element.ariaRowIndex !== rowIndex) element.ariaRowIndex = rowIndex;
    part.show(cell);
  }

  /** @param {string} id */
  find(id) {
    return this.cells.find((cell) => cell.id === id);
  }

  /** Scroll so that a cell is seen, clear of what sticks to the edges.
   * @param {Cell} cell @param {number} above @param {number} below */
  reveal(cell, above, below) {
    const top = this.top + cell.y;
    if (top - above < scrollY) scrollTo({ top: top - above });
    else if (top + cell.h + below > scrollY + innerHeight) {
      scrollTo({ top: top + cell.h + below - innerHeight });
    }
    this.paint();
  }
}
