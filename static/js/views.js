import { make } from "./dom.js";

/** The views that a person saved: shown as links, kept and forgotten by the server.
 * @param {{query: () => string, open: (query: string) => void}} wall */
export function savedViews(wall) {
  const list = /** @type {HTMLElement} */ (document.getElementById("view-list"));
  const form = /** @type {HTMLFormElement} */ (document.getElementById("keep-view"));
  const error = /** @type {HTMLElement} */ (form.querySelector(".error"));
  const token = () => String(new FormData(form).get("csrfmiddlewaretoken"));
  for (const item of [...list.children]) fill(/** @type {HTMLElement} */ (item));

  /** @param {HTMLElement} item */
  function fill(item) {
    const link = document.createElement("a");
    link.href = `/?${item.dataset.query ?? ""}`;
    link.textContent = item.dataset.name ?? "";
    const gone = make("button", "×");
    gone.setAttribute("type", "button");
    gone.setAttribute("aria-label", `Forget the view ${item.dataset.name}`);
    item.replaceChildren(link, gone);
  }

  list.addEventListener("click", async (event) => {
    const target = /** @type {Element} */ (event.target);
    const item = target.closest("li");
    if (!item || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (target.closest("a")) {
      wall.open(item.dataset.query ?? "");
      document.getElementById("views")?.removeAttribute("open");
    } else if (target.closest("button")) {
      const url = (form.dataset.forget ?? "").replace("/0/", `/${item.dataset.id}/`);
      const headers = { "X-CSRFToken": token() };
      const response = await fetch(url, { method: "POST", headers }).catch(() => null);
      if (response?.ok || response?.status === 404) item.remove();
      else say("It could not be forgotten; try again.");
    }
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
    body.set("query", wall.query());
    const response = await fetch(form.action, { method: "POST", body }).catch(() => null);
    const answer = await response?.json().catch(() => null);
    if (!response?.ok || !answer) {
      say(answer?.errors ? Object.values(answer.errors).flat().join(" ") : "It could not be saved; try again.");
      return;
    }
    say("");
    let item = /** @type {HTMLElement | null} */ (
      [...list.children].find((each) => each instanceof HTMLElement && each.dataset.id === String(answer.id))
    );
    if (!item) list.append((item = document.createElement("li")));
    Object.assign(item.dataset, { id: String(answer.id), name: answer.name, query: answer.query });
    fill(item);
    form.reset();
  });

  /** @param {string} words */
  function say(words) {
    error.hidden = !words;
    error.textContent = words;
  }
}
