// Tells the server which zone the viewer reads times in. A classic script on purpose: it runs before
// the page's first request for data. The cookie holds an IANA name; without a choice, the browser's.
(() => {
  const YEAR_S = 31_536_000;
  const cookie = (/** @type {string} */ name) =>
    document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  const keep = (/** @type {string} */ name) => {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `zone=${encodeURIComponent(name)}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  };
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!cookie("zone") && own) keep(own);

  document.addEventListener("DOMContentLoaded", () => {
    for (const choice of document.querySelectorAll("[data-zone-choice]")) {
      if (!(choice instanceof HTMLSelectElement)) continue;
      const now = document.documentElement.dataset.zone ?? "UTC";
      for (const name of new Set([own, "UTC", now])) {
        if (name && ![...choice.options].some((each) => each.value === name)) {
          choice.add(new Option(name === own ? `${name} (this browser)` : name, name));
        }
      }
      choice.value = now;
      choice.addEventListener("change", () => {
        keep(choice.value);
        location.reload();
      });
    }
  });
})();
