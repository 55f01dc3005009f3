// Keeps one page for when there is no net, and nothing else: what the fleet is like must never come
// out of a cache. The names hold hashes, so that a new version keeps new files.
const KEPT = [
{% for each in kept %}  "{{ each|escapejs }}",
{% endfor %}];
const NAME = `offline ${KEPT.join(" ")}`;

addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(KEPT)).then(() => skipWaiting()));
});
addEventListener("activate", (event) => {
  const forget = async () => {
    for (const name of await caches.keys()) if (name !== NAME) await caches.delete(name);
  };
  event.waitUntil(forget());
});
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET") {
    event.respondWith(fetch(request).catch(() => caches.match(KEPT[0])));
  } else if (KEPT.includes(new URL(request.url).pathname)) {
    event.respondWith(fetch(request).catch(() => caches.match(request)));
  }
});
