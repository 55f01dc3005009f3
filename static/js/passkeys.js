// The buttons that ask for a passkey: enabled once django-allauth's script listens to them, since a
// click before would send an empty form; and what went wrong is said beside them.

/** @type {NodeListOf<HTMLButtonElement>} */
const buttons = document.querySelectorAll("button[data-passkey]");

// django-allauth attaches its listeners at this event; its script comes before this one.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of buttons) button.disabled = false;
});

document.addEventListener("allauth.error", (event) => {
  const { exception } = /** @type {CustomEvent<{ exception: unknown }>} */ (event).detail;
  const why = exception instanceof Error ? exception.message : String(exception);
  say(`No passkey was used. ${why}`);
});

/** @param {string} text */
function say(text) {
  const last = buttons[buttons.length - 1];
  if (!last) return;
  let line = document.getElementById("passkey-error");
  if (!line) {
    line = document.createElement("p");
    line.id = "passkey-error";
    line.className = "error";
    line.setAttribute("role", "alert");
    last.after(line);
  }
  line.textContent = text;
}
