/** Deploys and other markers: lines on the charts, and a list for who cannot see them. */

import { colour as ink } from "./colours.js";
import { make } from "./dom.js";
import { escaped } from "./markup.js";
import { moment, timeElement, wall } from "./times.js";

/** @typedef {{at: number, kind: string, version: string, text: string, url: string}} Marker
 *   see dashboard/api/browsers/views.py */

/** How the line of each kind is drawn; deploys and others are dotted. @type {Record<string, string>} */
const DASHES = { override: "solid", policy: "dash" };
/** So many are drawn, and so many of them with a label. */
const DRAWN = 40;
const LABELLED = 8;
const LETTERS = 12;

/** What a layout of Plotly has besides. @param {Marker[]} markers @param {[number, number]} range */
export function markerShapes(markers, [from, to]) {
  const seen = markers.filter((each) => each.at >= from && each.at <= to).slice(0, DRAWN);
  const color = ink("--accent");
  return {
    shapes: seen.map((each) => ({
      type: "line",
      xref: "x",
      yref: "paper",
      x0: wall(each.at),
      x1: wall(each.at),
      y0: 0,
      y1: 1,
      line: { color, width: 1.5, dash: DASHES[each.kind] ?? "dot" },
    })),
    annotations: seen.slice(0, LABELLED).map((each) => ({
      xref: "x",
      yref: "paper",
      x: wall(each.at),
      y: 0.98,
      yanchor: "top",
      textangle: -90,
      xshift: 7,
      showarrow: false,
      text: escaped(label(each)),
      hovertext: escaped(each.text),
      font: { size: 10, color },
    })),
  };
}

/** @param {Marker} each */
export function label(each) {
  const words = each.version || each.kind;
  return words.length > LETTERS ? `${words.slice(0, LETTERS - 1)}…` : words;
}

/** @param {HTMLElement} into @param {Marker[]} markers newest first @param {number} now */
export function listMarkers(into, markers, now) {
  into.hidden = markers.length === 0;
  into.replaceChildren(
    ...markers.slice(0, LABELLED).map((each) => {
      const line = make("li", "");
      line.append(timeElement(each.at, moment(each.at, now)), " ", make("b", each.kind), " ");
      if (/^https?:\/\//.test(each.url)) {
        const link = /** @type {HTMLAnchorElement} */ (make("a", each.text));
        link.href = each.url;
        link.rel = "noreferrer";
        line.append(link);
      } else line.append(each.text);
      return line;
    }),
  );
}
