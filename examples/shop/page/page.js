// The page of the director: asks for the status each second and shows it.

const byId = (id) => document.getElementById(id);
const KINDS = ["whole", "degraded", "unavailable", "failed"];
const HEIGHT = 120;
const SVG = "http://www.w3.org/2000/svg";

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function rows(table, items, cells) {
  byId(table).replaceChildren(...items.map((item) => {
    const row = element("tr");
    row.append(...cells(item, row));
    return row;
  }));
}

const duration = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds} s`);
const percent = (share) => `${Math.round(share * 100)} %`;

function showIncident({ running, phase, elapsed_s: elapsed, script }) {
  document.body.dataset.incident = running ? "on" : "off";
  byId("headline").textContent = running
    ? script[phase].story
    : "All is quiet. The incident has not been started, or has been stopped.";
  byId("start").disabled = running;
  byId("stop").disabled = !running;
  byId("script").replaceChildren(...script.map((each, index) => {
    const item = element("li");
    item.append(element("strong", each.title), element("span", `at ${each.at_s} s: ${each.story}`));
    item.classList.toggle("reached", running && elapsed >= each.at_s);
    if (running && index === phase) item.setAttribute("aria-current", "step");
    return item;
  }));
}

function showUsers(load) {
  if (!load) return;
  const seconds = load.seconds.map((one) => ({ ...one, failed: one.failed + one.dropped }));
  const recent = seconds.slice(-10);
  const sum = (kind) => recent.reduce((total, one) => total + one[kind], 0);
  const all = KINDS.reduce((total, kind) => total + sum(kind), 0);
  const share = (kind) => (all ? percent(sum(kind) / all) : "–");
  const figures = [
    [`${Math.round(all / 10)}/s`, "answers"], [share("whole"), "whole"],
    [share("degraded"), "degraded"], [share("unavailable"), "503"],
    [`${Math.round(Math.max(...recent.map((one) => one.slowest_ms)))} ms`, "slowest"],
  ];
  byId("figures").replaceChildren(...figures.map(([value, name]) => {
    const figure = element("div");
    figure.append(element("b", value), name);
    return figure;
  }));
  drawChart(seconds);
}

function drawChart(seconds) {
  const most = Math.max(10, ...seconds.map((one) => KINDS.reduce((sum, kind) => sum + one[kind], 0)));
  const bars = [];
  seconds.forEach((one, index) => {
    let top = HEIGHT;
    for (const kind of KINDS) {
      const height = (one[kind] / most) * HEIGHT;
      if (!height) continue;
      top -= height;
      const bar = document.createElementNS(SVG, "rect");
      const place = { x: index * 10, y: top, width: 8, height, class: kind };
      for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value);
      bars.push(bar);
    }
  });
  byId("chart").replaceChildren(...bars);
}

function show(status) {
  showIncident(status.incident);
  showUsers(status.load);
  const link = byId("dashboard");
  link.hidden = !status.dashboard;
  link.href = status.dashboard;
  rows("dependencies", status.dependencies, ({ kind, behaviour, normal, in_flight: flying }, row) => {
    row.classList.toggle("ill", !normal);
    return [
      element("th", kind, { scope: "row" }), element("td", duration(behaviour.median)),
      element("td", duration(behaviour.p99)), element("td", percent(behaviour.errors)),
      element("td", percent(behaviour.corrupt)), element("td", flying),
    ];
  });
  rows("breakers", status.breakers, ({ service, name, states }) => {
    const cell = element("td");
    for (const [state, count] of Object.entries(states).sort()) {
      cell.append(element("span", `${count} ${state.replace("_", " ")}`, { class: `state ${state}` }));
    }
    return [element("td", service), element("th", name, { scope: "row" }), cell];
  });
  rows("processes", status.processes, ({ name, pid, restarts, url }) => [
    element("th", name, { scope: "row" }), element("td", pid), element("td", restarts),
    element("td", url),
  ]);
}

async function refresh() {
  try {
    const answer = await fetch("/status");
    show(await answer.json());
  } catch {
    byId("headline").textContent = "The shop does not answer. Was it stopped?";
    document.body.dataset.incident = "unknown";
  }
}

async function act(what) {
  byId("start").disabled = byId("stop").disabled = true;
  await fetch(`/incident/${what}`, { method: "POST" }).catch(() => {});
  await refresh();
}

byId("start").addEventListener("click", () => act("start"));
byId("stop").addEventListener("click", () => act("stop"));

async function forever() {
  await refresh();
  setTimeout(forever, document.hidden ? 5000 : 1000);
}
forever();
