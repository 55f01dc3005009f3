/** An installed app shows a page of ours where nothing answers; see templates/pages/worker.js. */
if ("serviceWorker" in navigator) {
  addEventListener("load", () => {
    // Without it everything else works the same.
    navigator.serviceWorker.register("/worker.js").catch(() => {});
  });
}
