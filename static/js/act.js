/**
 * Acts in a dialog: the server sends the form, shows what is wrong at its fields, and 204 says it
 * is done. Without this script the same links lead to the same form on a page of its own.
 */
export function openActs() {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("act-dialog"));
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(target) || target.closest("a")) menu.removeAttribute("open");
    }
    const link = target.closest("a[data-act]");
    if (!dialog || !link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    load(dialog, /** @type {HTMLAnchorElement} */ (link).href);
  });
  dialog?.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (target === dialog || target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog?.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(dialog, /** @type {HTMLFormElement} */ (event.target));
  });
}

const HEADERS = { "X-Requested-With": "fetch" };

/** @param {HTMLDialogElement} dialog @param {string} url */
async function load(dialog, url) {
  const response = await fetch(url, { headers: HEADERS }).catch(() => null);
  if (!response || response.redirected || !response.ok) {
    location.href = url;
    return;
  }
  show(dialog, await response.text());
}

/** @param {HTMLDialogElement} dialog @param {HTMLFormElement} form */
async function submit(dialog, form) {
  const button = form.querySelector("button");
  button?.setAttribute("disabled", "");
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
  const response = await fetch(form.action, { method: "POST", headers: HEADERS, body }).catch(
    () => null,
  );
  if (response?.status === 204) dialog.close();
  else if (response?.status === 422) show(dialog, await response.text());
  else complain(form, response);
  button?.removeAttribute("disabled");
}

/** @param {HTMLFormElement} form @param {Response | null} response */
function complain(form, response) {
  const message = document.createElement("p");
  message.className = "error";
  message.setAttribute("role", "alert");
  message.textContent = response
    ? `The dashboard answered ${response.status}; nothing was done.`
    : "The dashboard cannot be reached; nothing was done. Try again.";
  form.querySelector(".error[role=alert]:not(.field .error)")?.remove();
  form.querySelector("footer")?.before(message);
}

/** Our own server's form, rendered with every name escaped.
 * @param {HTMLDialogElement} dialog @param {string} html */
function show(dialog, html) {
  dialog.replaceChildren(document.createRange().createContextualFragment(html));
  if (!dialog.open) dialog.showModal();
  const wrong = dialog.querySelector(".wrong input:not([type=radio])");
  const first = wrong ?? dialog.querySelector("input[name=reason]");
  if (first instanceof HTMLElement) first.focus();
}
