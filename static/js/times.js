/**
 * Times as people read them: one module, one zone for each page.
 *
 * The server renders the page in the viewer's zone and names that zone in `data-zone` of the root
 * element; what scripts write uses the same zone. Hours run from 00 to 23 in every locale.
 */

const DAY_MS = 86_400_000;

let zone = globalThis.document?.documentElement.dataset.zone || "UTC";
/** @type {string | undefined} */
let locale;
/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** Choose zone and locale; pages take theirs from the document.
 * @param {string} name IANA name of the zone @param {string} [language] BCP 47 tag; the browser's otherwise */
export function setZone(name, language) {
  zone = name;
  locale = language;
  formats.clear();
}

/** The IANA name of the page's zone. */
export const zoneName = () => zone;

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const STYLES = {
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { month: "short", day: "numeric" },
  date: { year: "numeric", month: "short", day: "numeric" },
};

/** @param {string} style @param {number} at Unix seconds */
function write(style, at) {
  let format = formats.get(style);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { ...STYLES[style], timeZone: zone });
    formats.set(style, format);
  }
  return format.format(at * 1000);
}

/** The time of day with seconds. @param {number} at Unix seconds */
export const clock = (at) => write("clock", at);

/** The time of day without seconds. @param {number} at Unix seconds */
export const minute = (at) => write("minute", at);

/** The day without its year. @param {number} at Unix seconds */
export const day = (at) => write("day", at);

/** Day and time, in full. @param {number} at Unix seconds */
export const full = (at) => `${write("date", at)}, ${clock(at)}`;

/** The time of day, with its day unless that is today's. @param {number} at Unix seconds @param {number} now */
export function moment(at, now) {
  return write("date", at) === write("date", now) ? clock(at) : `${day(at)}, ${clock(at)}`;
}

/** The same moment in UTC, for titles. @param {number} at Unix seconds */
export const utc = (at) => `${iso(at).slice(0, 19).replace("T", " ")} UTC`;

/** For the `datetime` attribute. @param {number} at Unix seconds */
export const iso = (at) => new Date(at * 1000).toISOString();

/** Seconds that the zone is ahead of UTC at a moment. @param {number} at Unix seconds */
export function offset(at) {
  return Math.round((Date.parse(`${wall(at)}Z`) - Math.floor(at * 1000)) / 1000);
}

/** The moment as wall clock text of the zone, `2026-11-25T02:47:00.000`: Plotly draws it as it stands.
 * @param {number} at Unix seconds */
export function wall(at) {
  let format = formats.get("wall");
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set("wall", format);
  }
  const ms = Math.floor(at * 1000);
  /** @type {Record<string, string>} */
  const part = {};
  for (const each of format.formatToParts(ms)) part[each.type] = each.value;
  const fraction = String(((ms % 1000) + 1000) % 1000).padStart(3, "0");
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}.${fraction}`;
}

/** The moment of a wall clock text; of an hour that occurs twice, the first.
 * @param {string | number | Date} text as Plotly gives it: "2026-11-25", "2026-11-25 02:47:00.5"
 * @returns {number} Unix seconds */
export function fromWall(text) {
  if (typeof text !== "string") return Number(text) / 1000;
  const stamp = text.length > 10 ? text.replace(" ", "T") : `${text}T00:00`;
  const asUtc = Date.parse(`${stamp}Z`);
  const before = offset((asUtc - DAY_MS) / 1000);
  const after = offset((asUtc + DAY_MS) / 1000);
  // The earlier moment has the larger offset; it is right where it reads as what was given.
  for (const each of [Math.max(before, after), Math.min(before, after)]) {
    const at = asUtc / 1000 - each;
    if (offset(at) === each) return at;
  }
  // An hour that the change of clocks skips: as much later as the clocks were put forward.
  return asUtc / 1000 - before;
}

/** A `time` element: what is shown, the machine's form, and UTC on hover.
 * @param {number} at Unix seconds @param {string} text */
export function timeElement(at, text) {
  const element = document.createElement("time");
  element.dateTime = iso(at);
  element.title = utc(at);
  element.textContent = text;
  return element;
}
