import { undo } from "./act.js";
import { cloneTemplate, make, parts, setText } from "./dom.js";
import { overrideWord } from "./format.js";
import { isolated } from "./names.js";
import { keyOf } from "./store.js";

/** @import {Outcome} from "./act.js" */
/** @import {Store} from "./store.js" */

const FORCED = ["forced_open", "forced_closed", "metrics_only", "forced_partial"];
const GONE_AFTER_MS = 20_000;
const AT_MOST = 4;
const LISTED = 40;

/** Follows acts until every instance has confirmed, and offers to undo them. */
export class Progress {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.list = /** @type {HTMLElement} */ (document.getElementById("progress"));
    /** @type {Followed[]} */
    this.followed = [];
    document.addEventListener("acted", (event) => {
      const { title, outcome } = /** @type {CustomEvent} */ (event).detail;
      this.#follow(title, outcome);
    });
  }

  /** Undo the latest act that can be undone. */
  undoLast() {
    this.followed.findLast((each) => each.canUndo)?.undo();
  }

  refresh() {
    for (const each of this.followed) each.refresh();
  }

  /** @param {string} title @param {Outcome} outcome */
  #follow(title, outcome) {
    const followed = new Followed(this.store, title, outcome, () => {
      this.followed = this.followed.filter((each) => each !== followed);
      followed.element.remove();
    });
    this.followed.push(followed);
    this.list.append(followed.element);
    while (this.followed.length > AT_MOST) this.followed[0].dismiss();
    followed.refresh();
  }
}

/** One act under way. */
class Followed {
  /** @param {Store} store @param {string} title @param {Outcome} outcome
   * @param {() => void} dismiss */
  constructor(store, title, outcome, dismiss) {
    this.store = store;
    this.title = title;
    this.outcome = outcome;
    this.dismiss = dismiss;
    this.element = /** @type {HTMLElement} */ (cloneTemplate("progress-template").firstElementChild);
    this.parts = parts(this.element);
    this.done = false;
    /** Overrides of this act that the fleet has shown. @type {Set<string>} */
    this.seen = new Set();
    /** @type {{key: string, made: string | null}[]} */
    this.watched = outcome.parts.flatMap((part) =>
      Object.entries(part.made).map(([name, made]) => ({ key: keyOf(part.service, name), made })),
    );
    this.canUndo = outcome.state !== "reset" && this.watched.length > 0;
    const button = /** @type {HTMLElement} */ (this.element.querySelector("[data-undo]"));
    button.hidden = !this.canUndo;
    button.addEventListener("click", () => this.undo());
    this.element.querySelector("[data-dismiss]")?.addEventListener("click", dismiss);
    this.#sayTitle();
    this.#sayFailures();
  }

  async undo() {
    this.canUndo = false;
    const button = this.element.querySelector("[data-undo]");
    button?.setAttribute("disabled", "");
    const wrong = await undo(this.outcome.id, this.title);
    if (wrong) {
      this.parts.failed.hidden = false;
      setText(this.parts.failed, wrong);
      button?.removeAttribute("disabled");
      this.canUndo = true;
    } else this.dismiss();
  }

  #sayTitle() {
    const [first] = this.watched;
    const one = first?.key.split("\n").reverse().map(isolated).join(" of ");
    const what = this.watched.length === 1 ? one : `${this.watched.length} breakers`;
    setText(this.parts.title, `${this.title}: ${what}`);
  }

  /** What was not done, plainly. */
  #sayFailures() {
    const said = [];
    for (const part of this.outcome.parts) {
      if (part.error) said.push(`${part.service}: ${part.error}`);
      for (const [name, why] of Object.entries(part.kept)) {
        said.push(`${this.title.startsWith("Undo") ? "Not undone" : "Not changed"}: ${name} of ${part.service}, ${why}.`);
      }
    }
    this.parts.failed.hidden = said.length === 0;
    const more = said.length > 5 ? ` … and ${said.length - 5} more.` : "";
    setText(this.parts.failed, said.slice(0, 5).join(" ") + more);
  }

  refresh() {
    let total = 0;
    let stale = 0;
    /** @type {Set<string>} */
    const replaced = new Set();
    let confirmed = 0;
    let over = 0;
    /** @type {string[]} */
    const pending = [];
    for (const { key, made } of this.watched) {
      const view = this.store.breakers.get(key);
      if (!view) continue;
      if (made) {
        const shown = view.override;
        if (shown?.id !== made) {
          over += 1;
          if (shown && this.seen.has(made)) replaced.add(`${shown.by} (${overrideWord(shown)})`);
          else if (this.seen.has(made) && this.outcome.state !== "reset") replaced.add("");
          continue;
        }
        this.seen.add(made);
        stale += view.states.stale ?? 0;
        total += shown.total;
        confirmed += shown.applied;
        for (const id of shown.pending) pending.push(`${id} (${view.name})`);
        for (const each of shown.refused) pending.push(`${each.instance} refused: ${each.reason}`);
      } else {
        const all = Object.values(view.states).reduce((sum, n) => sum + n, 0) - (view.states.stale ?? 0);
        const forced = FORCED.reduce((sum, state) => sum + (view.states[state] ?? 0), 0);
        total += all;
        confirmed += view.override ? 0 : all - forced;
      }
    }
    if (replaced.size) this.#showReplaced([...replaced]);
    else if (!this.done) this.#show({ confirmed, total, over, stale }, pending);
  }

  /** Somebody else has acted since. @param {string[]} by */
  #showReplaced(by) {
    const named = by.filter(Boolean);
    setText(this.parts.words, named.length ? `Replaced by ${named.join(", ")}` : "Ended");
    this.element.classList.remove("confirmed");
    this.element.classList.add("replaced");
    this.parts.pending.hidden = true;
    this.canUndo = false;
    /** @type {HTMLElement} */ (this.element.querySelector("[data-undo]")).hidden = true;
    this.#dismissLater();
  }

  #dismissLater() {
    if (!this.done) setTimeout(this.dismiss, GONE_AFTER_MS);
    this.done = true;
  }

  /** @param {{confirmed: number, total: number, over: number, stale: number}} counts
   * @param {string[]} pending */
  #show({ confirmed, total, over, stale }, pending) {
    const bar = /** @type {HTMLProgressElement} */ (this.parts.bar);
    bar.max = total || 1;
    bar.value = confirmed;
    const all = total > 0 && confirmed === total && !over;
    const instances = `${total} instance${total === 1 ? "" : "s"}`;
    if (all && stale) setText(this.parts.words, `${total} confirmed, ${stale} not reachable`);
    else if (all) setText(this.parts.words, `Confirmed by ${total === 1 ? "its" : "all"} ${instances}`);
    else if (!total && over) setText(this.parts.words, "Sent");
    else if (!total) setText(this.parts.words, this.watched.length ? "No instance is there to confirm it" : "Nothing was changed");
    else setText(this.parts.words, `${confirmed} of ${instances} confirmed`);
    this.parts.pending.hidden = pending.length === 0;
    const signature = pending.join("\n");
    if (this.parts.list.dataset.shown !== signature) {
      this.parts.list.dataset.shown = signature;
      this.parts.list.replaceChildren(...pending.slice(0, LISTED).map((each) => make("li", each)));
    }
    this.element.classList.toggle("confirmed", all);
    if (all || !this.watched.length) this.#dismissLater();
  }
}
