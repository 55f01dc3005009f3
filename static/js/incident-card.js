/** The open incidents on top of wall, map and TV, and a note when a channel is down. */

import { moment } from "./times.js";

const EVERY_MS = 3000;

/**
 * @typedef {{url: string, label: string, effect: string}} Help
 * @typedef {{id: number, headline: string, severity: string, began: number, acknowledged: boolean,
 *   url: string, help: Help | null}} Incident
 * @typedef {{incidents: Incident[], more: number, channels: string[]}} Open
 */

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 * @returns {HTMLElement}
 */
function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/**
 * @param {string} href
 * @param {string} text
 * @returns {HTMLAnchorElement}
 */
function link(href, text) {
  const made = document.createElement("a");
  made.href = href;
  made.textContent = text;
  return made;
}

/**
 * @param {Incident} incident
 * @returns {HTMLElement}
 */
function card(incident) {
  const made = element("article", `incident-card severity-${incident.severity}`, "");
  const first = element("p", "incident-headline", "");
  first.append(link(incident.url, incident.headline));
  const state = incident.acknowledged ? "acknowledged" : "not acknowledged";
  made.append(first, element("p", "incident-since", `Since ${moment(incident.began, Date.now() / 1000)}, ${state}`));
  if (incident.help) {
    const help = element("p", "incident-help", "");
    help.append(link(incident.help.url, incident.help.label), `: ${incident.help.effect}`);
    made.append(help);
  }
  return made;
}

/**
 * @param {HTMLElement} section
 * @param {Open} open
 */
function draw(section, open) {
  /** @type {HTMLElement[]} */
  const parts = open.incidents.map(card);
  if (open.more) {
    const more = element("p", "incident-more", "");
    more.append(link("/incidents", `${open.more} more incidents`));
    parts.push(more);
  }
  if (open.channels.length) {
    const text = `Messages do not get through: ${open.channels.join(", ")}`;
    parts.push(element("p", "incident-channels", text));
  }
  section.replaceChildren(...parts);
  section.hidden = parts.length === 0;
}

/** @param {HTMLElement} section */
async function follow(section) {
  let before = "";
  for (;;) {
    if (!document.hidden) {
      try {
        const headers = { Accept: "application/json" };
        const answer = await fetch(section.dataset.url ?? "", { headers });
        if (answer.ok) {
          const text = await answer.text();
          if (text !== before && !section.contains(document.activeElement)) {
            before = text;
            draw(section, JSON.parse(text));
          }
        }
      } catch {
        // The connection indicator shows that the dashboard cannot be reached.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

const section = document.getElementById("incident-card");
if (section) follow(section);
