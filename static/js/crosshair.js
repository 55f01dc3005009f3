/** One vertical line across all charts of a page, at the time under the pointer. */

import { clock, fromWall, utc } from "./times.js";

export class Crosshair {
  /** @param {HTMLElement[]} plots drawn by Plotly, with one axis of time each */
  constructor(plots) {
    this.plots = plots;
    /** @type {Map<HTMLElement, HTMLElement>} */
    this.lines = new Map();
    for (const plot of plots) {
      plot.addEventListener("pointermove", (event) => this.#move(plot, event.clientX));
      plot.addEventListener("pointerleave", () => this.#hide());
    }
  }

  /** @param {any} plot @param {number} clientX */
  #move(plot, clientX) {
    const axis = plot._fullLayout?.xaxis;
    if (!axis?.p2d) return;
    const x = clientX - plot.getBoundingClientRect().left - axis._offset;
    if (x < 0 || x > axis._length) {
      this.#hide();
      return;
    }
    const at = axis.p2d(x);
    for (const each of this.plots) this.#draw(each, at, each === plot);
  }

  /** @param {any} plot @param {string} at as Plotly tells times @param {boolean} tells the time too */
  #draw(plot, at, tells) {
    const axis = plot._fullLayout?.xaxis;
    const line = this.#line(plot);
    const x = axis?.d2p ? axis.d2p(at) : NaN;
    line.hidden = plot.hidden || !(x >= 0 && x <= axis._length);
    if (line.hidden) return;
    line.style.left = `${plot.offsetLeft + axis._offset + x}px`;
    line.style.top = `${plot.offsetTop + plot._fullLayout._size.t}px`;
    line.style.height = `${plot._fullLayout._size.h}px`;
    const seconds = fromWall(at);
    line.textContent = tells ? clock(seconds) : "";
    line.title = utc(seconds);
  }

  /** @param {HTMLElement} plot */
  #line(plot) {
    let line = this.lines.get(plot);
    if (!line) {
      line = document.createElement("div");
      line.className = "crosshair";
      line.setAttribute("aria-hidden", "true");
      plot.after(line);
      this.lines.set(plot, line);
    }
    return line;
  }

  #hide() {
    for (const line of this.lines.values()) line.hidden = true;
  }
}
