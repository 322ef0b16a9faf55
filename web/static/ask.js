// The page at /: what is typed behind /imagine, what comes of it, and everything that the model knows.

import { $, api, el, t, tell } from "./common.js";
import { attach } from "./completion.js";
import { Request, unknownWords } from "./tiles.js";

const CHECK_AFTER = 350; // milliseconds of silence
const field = $("prompt"), log = $("log");
let grammar = null, source = null, remixed = null, checking = 0;

// --- the channel

function bottom() {
  log.scrollTo({ top: log.scrollHeight });
}

function add(body, unknown = [], newly = true) {
  if (document.querySelector(`[data-job="${body.id}"]`)) return;
  $("welcome").hidden = true;
  const request = new Request(body, { asked, remix, unknown: unknownWords(unknown), newly });
  $("requests").append(request.node);
}

function asked(told) {
  for (const body of told.jobs) add(body, told.unknown);
  if (told.problem) tell(told.problem);
  bottom();
}

async function remix(job, number, prompt) {
  if (job) {
    try {
      const told = await api("GET", `/api/v1/pictures/${job}/${number}`);
      prompt = told.remix;
      remixed = { job, picture: number };
      tell(t("studio.ask.remixing"));
    } catch (problem) {
      tell(problem.message);
      return;
    }
  }
  field.value = prompt;
  field.focus();
  field.setSelectionRange(prompt.length, prompt.length);
}

async function earlier() {
  try {
    const told = await api("GET", "/api/v1/jobs");
    for (const body of told.jobs.reverse()) add(body, [], false);
    bottom();
    const begun = new URLSearchParams(location.search).get("remix")?.split("/");
    if (begun?.length === 2) await remix(begun[0], Number(begun[1]));
  } catch (problem) {
    tell(problem.message);
  }
  log.setAttribute("aria-busy", "false");
}

// Pictures that arrive make the channel longer: stay at its end if that is where one looks.
let stays = true;
log.addEventListener("scroll", () => { stays = log.scrollHeight - log.scrollTop - log.clientHeight < 80; });
new ResizeObserver(() => { if (stays) bottom(); }).observe($("requests"));

// --- what is wrong, and words that are not known

function trouble(body) {
  const box = $("trouble");
  box.hidden = !body;
  if (!body) return;
  box.replaceChildren(el("span", {}, body.message));
  if (body.pointer) box.append(el("pre", { "aria-hidden": "true" }, body.pointer));
  if (body.error === "confirm") box.append(el("br"), el("button", { type: "button", className: "primary", onclick: () => send(true) }, t("studio.ask.many")));
  if (body.unknown) words(body.unknown);
}

function words(unknown) {
  const box = $("words");
  // A word that is still being typed is not unknown yet.
  const typing = /(\S+)$/.exec(field.value.slice(0, field.selectionStart))?.[1]?.toLowerCase();
  unknown = $("suggestions").hidden ? unknown : unknown?.filter(({ word }) => word.toLowerCase() !== typing);
  box.hidden = !unknown?.length;
  if (box.hidden) return;
  box.replaceChildren(unknownWords(unknown), " ");
  for (const { word, nearest } of unknown) {
    for (const near of nearest) box.append(el("button", { type: "button", onclick: () => swap(word, near) }, near), " ");
  }
}

function swap(word, near) {
  const place = field.value.toLowerCase().indexOf(word.toLowerCase());
  if (place >= 0) field.setRangeText(near, place, place + word.length, "end");
  changed();
  field.focus();
}

async function check() {
  const mine = ++checking;
  const prompt = field.value.trim();
  if (!prompt) {
    trouble(null);
    words(null);
    return;
  }
  try {
    const told = await api("POST", "/api/v1/check", { prompt, picture: Boolean(source) });
    if (mine !== checking) return;
    trouble(told.ok || told.empty ? null : told);
    words(told.ok ? told.unknown : told.unknown ?? null);
  } catch { /* nothing was asked for yet */ }
}

let silence;
function changed() {
  clearTimeout(silence);
  silence = setTimeout(check, CHECK_AFTER);
}

// --- asking

async function send(confirmed = false) {
  const prompt = field.value.trim();
  if (!prompt && !source) {
    field.focus();
    return;
  }
  clearTimeout(silence);
  checking += 1;
  $("send").disabled = true;
  try {
    const told = await api("POST", "/api/v1/imagine", { prompt, confirmed, picture: source?.picture ?? null, remix: remixed });
    field.value = "";
    remixed = null;
    detach();
    trouble(null);
    words(null);
    asked(told);
  } catch (problem) {
    trouble(problem.body ?? { message: problem.message });
    if (problem.body?.at !== undefined) field.setSelectionRange(problem.body.at, problem.body.at);
  } finally {
    $("send").disabled = false;
    field.focus();
  }
}

const used = attach(field, $("suggestions"), () => grammar);
field.addEventListener("input", changed);
field.addEventListener("keydown", (event) => {
  if (used(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
for (const button of document.querySelectorAll("[data-start]")) {
  button.addEventListener("click", () => {
    field.value = button.dataset.start;
    send();
  });
}

// --- a picture to begin from

async function bring(file) {
  if (!file) return;
  try {
    source = await api("POST", "/api/v1/sources", file);
    $("attached-picture").src = URL.createObjectURL(file);
    $("attached-name").textContent = t("studio.ask.attached", { name: file.name || `${source.width} × ${source.height}` });
    $("attached").hidden = false;
    trouble(null);
    changed();
  } catch (problem) {
    trouble(problem.body ?? { message: problem.message });
  }
  field.focus();
}

function detach() {
  source = null;
  $("attached").hidden = true;
  $("file").value = "";
}

$("file").addEventListener("change", (event) => bring(event.target.files[0]));
$("detach").addEventListener("click", () => {
  detach();
  field.focus();
});
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (file) bring(file);
});
for (const kind of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    $("composer").classList.toggle("over", kind === "dragover");
    if (kind === "drop") bring(event.dataTransfer.files[0]);
  });
}

// --- everything that it knows

function insert(word) {
  const before = field.value.slice(0, field.selectionStart), space = before && !before.endsWith(" ") ? " " : "";
  field.setRangeText(`${space}${word} `, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  changed();
}

function drawn(thing, tiles) {
  const place = tiles ? tiles.things.indexOf(thing) : -1;
  if (place < 0) return null;
  const tile = el("span", { className: "drawn", "aria-hidden": "true" });
  tile.style.backgroundPosition = `-${(place % tiles.columns) * tiles.side}px -${Math.floor(place / tiles.columns) * tiles.side}px`;
  return tile;
}

function swatch(colour) {
  const dot = el("span", { className: "swatch", "aria-hidden": "true" });
  dot.style.background = colour;
  return dot;
}

function drawer(wanted = "") {
  const fits = (word) => word.toLowerCase().includes(wanted.toLowerCase());
  const words = (title, list, className, made) => {
    const found = list.filter((each) => fits(typeof each === "string" ? each : `${each.names.join(" ")} ${each.help}`));
    return found.length ? [el("h3", {}, title), el("div", { className }, ...found.map(made))] : [];
  };
  const button = (word, ...children) => el("button", { type: "button", title: t("studio.ask.insert", { word }), onclick: () => insert(word) }, ...children);
  $("known").replaceChildren(
    ...words(t("studio.ask.colours"), grammar.colours, "chips", (word) => button(word, swatch(word), word)),
    ...words(t("studio.ask.styles"), grammar.styles, "chips", (word) => button(`--style ${word}`, word)),
    ...words(t("studio.ask.things"), grammar.things, "things", (word) => button(word, drawn(word, grammar.examples), word)),
    ...words(t("studio.ask.flags"), grammar.flags, "flags", (flag) => button(flag.example || flag.names[0], el("b", {}, flag.names[0]), el("span", {}, flag.help))),
  );
}

async function learn() {
  try {
    const [told, things] = await Promise.all([api("GET", "/api/v1/grammar"), api("GET", "/api/v1/things")]);
    grammar = { ...told, things: things.things };
    // Whoever typed before it was there gets what belongs to it now.
    if (document.activeElement === field && field.value) field.dispatchEvent(new Event("input", { bubbles: true }));
    drawer();
  } catch {
    setTimeout(learn, 3000);
  }
}
$("find").addEventListener("input", (event) => grammar && drawer(event.target.value.trim()));

function open(is) {
  $("knows").classList.toggle("open", is);
  $("open-knows").setAttribute("aria-expanded", String(is));
  (is ? $("find") : field).focus();
}
$("open-knows").addEventListener("click", () => open(!$("knows").classList.contains("open")));
$("close-knows").addEventListener("click", () => open(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $("knows").classList.contains("open")) open(false);
});

await Promise.all([learn(), earlier()]);
