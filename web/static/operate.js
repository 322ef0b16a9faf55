// The operator's window: the queue as it stands, how it went, who draws, and what waits for a decision.

import { $, api, during, el, locale, t, tell, when } from "./common.js";

const LOOK_AGAIN = 2000, CHARTS_AGAIN = 10000; // milliseconds
const charts = new Map();
let paused = false, told = {};

const short = (id) => el("code", { title: id }, id.slice(0, 8));
const name = (id) => (id === "local" ? t("studio.gallery.local") : id);

/** A table whose rows are written anew only where they changed, so that a button keeps its focus. */
function table(place, heads, rows, made) {
  const key = JSON.stringify(rows);
  if (told[place.id] === key) return;
  told[place.id] = key;
  if (!rows.length) {
    place.replaceChildren(el("p", { className: "soft" }, t("studio.operate.none")));
    return;
  }
  place.replaceChildren(el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...made(row).map((cell) => el("td", {}, cell)))))));
}

const act = (label, address, body, sure) => el("button", {
  type: "button",
  onclick: (event) => {
    if (sure && !confirm(sure)) return;
    during(event.currentTarget, async () => {
      await api("POST", address, body);
      await queue();
    });
  },
}, label);

function show(state) {
  paused = state.paused;
  $("paused").textContent = state.problem || t(paused ? "studio.operate.paused" : "studio.operate.open");
  $("paused").className = state.problem || paused ? "bad" : "soft";
  $("pause").textContent = t(paused ? "studio.operate.resume" : "studio.operate.pause");
  $("figures").replaceChildren(...["queued", "sent", "running", "rendered", "delivered", "failed", "dead", "cancelled"].map((each) =>
    el("div", {}, el("b", {}, String(state.jobs[each] ?? 0)), el("span", {}, t(`state.${each}`)))));
  const rows = [
    ...state.running.map((job) => ({ id: job.id, place: "–", state: job.state, member: job.member, server: job.server, priority: job.worker || "", cost: "" })),
    ...state.waiting.map((job) => ({ ...job, state: "queued" })),
  ];
  table($("jobs"), [t("studio.operate.place"), t("studio.operate.job"), t("studio.operate.state"), t("studio.operate.server"), t("studio.operate.member"), t("studio.operate.priority"), t("studio.operate.share"), t("studio.operate.cost"), ""],
    rows, (job) => [String(job.place), short(job.id), t(`state.${job.state}`), name(job.server), name(job.member), job.priority, job.weight ? String(job.weight) : "", String(job.cost),
      act(t("studio.operate.cancel"), `/api/v1/queue/jobs/${job.id}/cancel`)]);
  table($("workers"), [t("studio.operate.name"), t("studio.operate.device"), t("studio.operate.pool"), t("studio.operate.models"), t("studio.operate.busy"), t("studio.operate.slots"), t("studio.operate.seen"), ""],
    state.workers.map((worker) => ({ ...worker, seen: Math.max(0, Math.round(Date.now() / 1000 - worker.seen)) })),
    (worker) => [worker.name, worker.device, worker.pool, worker.models.join(", "), String(worker.busy), String(worker.slots), t("studio.operate.ago", { seconds: worker.seen }),
      act(t("studio.operate.drain.one"), "/api/v1/queue/drain", { worker: worker.instance }, t("studio.operate.drain.sure"))]);
  table($("dead"), [t("studio.operate.job"), t("studio.operate.why"), t("studio.operate.attempts"), t("studio.operate.when"), ""],
    state.dead, (job) => [short(job.id), job.message || job.error || "", String(job.attempts), when(job.changed), act(t("studio.operate.retry"), `/api/v1/queue/jobs/${job.id}/retry`)]);
}

async function queue() {
  show(await api("GET", "/api/v1/queue"));
}

async function again(work, pause) {
  try {
    if (!document.hidden) await work();
  } catch (problem) {
    $("paused").textContent = problem.message;
    $("paused").className = "bad";
  }
  setTimeout(() => again(work, pause), pause);
}

$("pause").addEventListener("click", (event) => during(event.currentTarget, async () => {
  await api("POST", `/api/v1/queue/${paused ? "resume" : "pause"}`, {});
  await queue();
}));
$("drain").addEventListener("click", (event) => {
  if (!confirm(t("studio.operate.drain.sure"))) return;
  during(event.currentTarget, () => api("POST", "/api/v1/queue/drain", {}));
});

// --- charts

const COLOURS = ["--soft", "--good", "--bad"];
const WANTED = [
  ["jobs", ["asked", "drawn", "broken"]],
  ["waited", ["waited"]],
  ["seconds", ["seconds"]],
];

function draw(figures) {
  const style = getComputedStyle(document.documentElement);
  const colour = (variable) => {
    const probe = el("span");
    probe.style.color = `var(${variable})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  for (const [kind, columns] of WANTED) {
    const data = [figures.at, ...columns.map((column) => figures[column])];
    if (charts.has(kind)) {
      charts.get(kind).setData(data);
      continue;
    }
    const label = (column) => (kind === "jobs" ? t(`studio.operate.chart.${column}`) : t(`studio.operate.chart.${kind}`));
    const place = el("div", { className: "chart" }, el("h3", {}, t(`studio.operate.chart.${kind}`)));
    $("charts").append(place);
    const ink = colour("--soft"), line = colour("--line");
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    charts.set(kind, new window.uPlot({
      width: place.clientWidth, height: 190, axes: [axis, { ...axis, size: 44 }], scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
      series: [{ label: t("studio.operate.when") }, ...columns.map((column, index) => ({
        label: label(column), stroke: colour(kind === "jobs" ? COLOURS[index] : "--accent"), width: 2, spanGaps: false, points: { size: 5 },
        value: (_, value) => (value === null || value === undefined ? "–" : new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(value)),
      }))],
      fmtDate: (template) => (date) => window.uPlot.fmtDate(template)(date),
    }, data, place));
    void style;
  }
}

async function figures() {
  draw(await api("GET", `/api/v1/queue/statistics?over=${$("over").value}`));
}
function redraw() {
  for (const chart of charts.values()) chart.destroy();
  charts.clear();
  $("charts").replaceChildren();
}
$("over").addEventListener("change", () => { redraw(); figures().catch((problem) => tell(problem.message)); });
$("theme").addEventListener("click", () => { redraw(); figures().catch((problem) => tell(problem.message)); });
new ResizeObserver(() => { for (const chart of charts.values()) chart.setSize({ width: chart.root.parentElement.clientWidth, height: 190 }); }).observe($("charts"));

// --- what waits for a decision

async function reviews() {
  const { reviews: found } = await api("GET", "/api/v1/reviews");
  const key = JSON.stringify(found);
  if (told.reviews === key) return;
  told.reviews = key;
  $("reviews").replaceChildren(...(found.length ? found.map(card) : [el("p", { className: "soft" }, t("studio.operate.none"))]));
}

function card(report) {
  const picture = el("div", {});
  const see = el("button", { type: "button", onclick: () => see.replaceWith(...report.pictures.map((address) => el("img", { src: address, alt: t("studio.picture.alt", { prompt: report.prompt }) }))) }, t("studio.operate.see"));
  if (report.pictures.length && report.state === "open") picture.append(see);
  return el("article", { className: "card", "data-report": String(report.number) },
    el("h3", {}, `${t(`studio.operate.kind.${report.kind}`)} · ${name(report.server)}`), el("p", {}, report.prompt), picture,
    report.reason ? el("p", { className: "soft" }, report.reason) : null,
    report.score ? el("p", { className: "soft" }, t("studio.operate.score", { score: Math.round(report.score * 100) })) : null,
    el("p", { className: "soft" }, name(report.member), " · ", when(report.at)),
    el("div", { className: "acts" }, ...report.actions.map((action) => el("button", {
      type: "button", "data-decide": action, className: ["delete", "reject", "ban1", "ban7"].includes(action) ? "danger" : "",
      onclick: (event) => during(event.currentTarget, async () => {
        await api("POST", `/api/v1/reviews/${report.number}/${action}`);
        tell(t("studio.operate.decided"));
        await reviews();
      }),
    }, t(`report.button.${action}`)))));
}

again(queue, LOOK_AGAIN);
again(reviews, LOOK_AGAIN * 2);
addEventListener("load", () => again(figures, CHARTS_AGAIN));
if (document.readyState === "complete") again(figures, CHARTS_AGAIN);
