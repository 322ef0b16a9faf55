// What every page of the studio uses: texts, the API, small elements, the state at the top, language and theme.

const texts = JSON.parse(document.body.dataset.texts || "{}");
const csrf = document.querySelector("meta[name=csrf]")?.content;
export const locale = document.documentElement.lang || "en";
export const $ = (id) => document.getElementById(id);

/** The text of a code with its values; `count`, `workers` and the like choose the form for one. */
export function t(code, values = {}) {
  const found = texts[code];
  if (found === undefined) return code;
  const one = typeof found === "object" && Object.values(values).some((value) => value === 1);
  const text = typeof found === "object" ? (one ? found.one : found.other) : found;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
export const knows = (code) => code in texts;

/** An element: `el("button", { type: "button", onclick }, "text", child)`. Texts are never read as HTML. */
export function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key === "className" ? "class" : key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** What the API refused: `message` says what to do, `body` is all of it. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.message || t("studio.trouble"));
    this.status = status;
    this.body = body;
  }
}

export async function api(method, address, body, headers = {}) {
  const options = { method, headers: { ...headers } };
  if (csrf) options.headers["X-CSRF-Token"] = csrf;
  if (body instanceof Blob) {
    options.body = body;
    options.headers["Content-Type"] = body.type || "application/octet-stream";
  } else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Refusal(0, { error: "away", message: t("studio.no_answer") });
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) location.assign("/sign-in");
  if (!answer.ok) throw new Refusal(answer.status, told);
  return told;
}

let fading;
/** One line at the bottom of the page, for a while. */
export function tell(text) {
  $("told").textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => { $("told").textContent = ""; }, 6000);
}

/** Do it with the button off, and say what went wrong. */
export async function during(button, work) {
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (problem) {
    tell(problem.message);
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
/** A Unix time as its hour today, else with its day. */
export function when(seconds) {
  const then = new Date(seconds * 1000);
  const text = then.toDateString() === new Date().toDateString() ? clock.format(then) : moment.format(then);
  return el("time", { datetime: then.toISOString(), title: moment.format(then) }, text);
}

// --- the state at the top

const LOOK_AGAIN = 3000; // milliseconds

function inWords(health) {
  if (health.status !== "ok") return ["bad", health.problem || t("studio.no_answer")];
  if (health.workers) return ["good", t("studio.ready", { workers: health.workers })];
  if (health.worker_problem) return ["bad", health.worker_problem];
  const starting = Object.keys(health.worker_processes || {}).length > 0;
  return ["wait", t(starting ? "studio.starting" : "studio.no_worker")];
}

async function look() {
  let kind = "bad", text = t("studio.no_answer");
  try {
    [kind, text] = inWords(await (await fetch("/healthz")).json());
  } catch { /* said above */ }
  $("state").className = `state ${kind}`;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  setTimeout(look, document.hidden ? 5 * LOOK_AGAIN : LOOK_AGAIN);
}
if ($("state")) look();

// --- language and theme, kept in cookies so that pages come right from the start

function keep(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=strict`;
}
$("language")?.addEventListener("change", (event) => {
  keep("language", event.target.value);
  location.reload();
});
$("theme")?.addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  keep("theme", document.documentElement.dataset.theme);
});

// Menus close as one expects: by Escape, and by looking elsewhere.
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.activeElement?.closest("details.menu[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
