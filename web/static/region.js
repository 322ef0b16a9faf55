// Painting over the part of a picture that shall be drawn anew: with pointer, finger or keyboard.

import { $, api, t } from "./common.js";

let job = "", number = 1, asked = () => {}, painted = false, pen = null;

/** Stripes of two colours, which stand out from any picture. */
function stripes(drawing) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.fillStyle = "#ff2fd0";
  pen.fillRect(0, 0, 8, 8);
  pen.fillStyle = "#fff";
  for (let row = 0; row < 8; row += 1) for (let column = 0; column < 4; column += 1) pen.fillRect((row + column) % 8, row, 1, 1);
  return drawing.createPattern(tile, "repeat");
}

/** Open the dialog for a picture; `then` gets what was asked for. */
export async function openRegion(id, picture, prompt, then) {
  job = id;
  number = picture;
  asked = then;
  painted = false;
  $("region-words").value = prompt;
  $("region-trouble").textContent = "";
  const image = new Image();
  image.src = `/api/v1/pictures/${job}/${number}/file?format=webp`;
  await image.decode().catch(() => {});
  for (const canvas of [$("region-picture"), $("region-mask")]) {
    canvas.width = image.naturalWidth || 256;
    canvas.height = image.naturalHeight || 256;
  }
  $("region-picture").getContext("2d").drawImage(image, 0, 0);
  pen = { x: $("region-mask").width / 2, y: $("region-mask").height / 2 };
  $("region").showModal();
  $("region-mask").focus();
}

const context = () => $("region-mask").getContext("2d");
const radius = () => ($("region-size").value / 200) * $("region-mask").width;

function dab(x, y) {
  const drawing = context();
  drawing.fillStyle = stripes(drawing);
  drawing.beginPath();
  drawing.arc(x, y, radius(), 0, 7);
  drawing.fill();
  painted = true;
}

function stroke(from, to) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / (radius() / 3)));
  for (let step = 1; step <= steps; step += 1) dab(from.x + ((to.x - from.x) * step) / steps, from.y + ((to.y - from.y) * step) / steps);
}

function place(event) {
  const canvas = $("region-mask"), box = canvas.getBoundingClientRect();
  return { x: ((event.clientX - box.left) / box.width) * canvas.width, y: ((event.clientY - box.top) / box.height) * canvas.height };
}

function showPen() {
  const canvas = $("region-mask"), box = canvas.getBoundingClientRect();
  canvas.setAttribute("aria-valuetext", `${Math.round((pen.x / canvas.width) * 100)} %, ${Math.round((pen.y / canvas.height) * 100)} %`);
  const mark = $("region-pen");
  const scale = box.width / canvas.width;
  mark.style.width = mark.style.height = `${2 * radius() * scale}px`;
  mark.style.left = `${(pen.x - radius()) * scale}px`;
  mark.style.top = `${(pen.y - radius()) * scale}px`;
  mark.hidden = false;
}

/** A PNG, white where it was painted and black elsewhere. */
function mask() {
  const from = $("region-mask"), made = document.createElement("canvas");
  made.width = from.width;
  made.height = from.height;
  const drawing = made.getContext("2d");
  drawing.drawImage(from, 0, 0);
  drawing.globalCompositeOperation = "source-in";
  drawing.fillStyle = "#fff";
  drawing.fillRect(0, 0, made.width, made.height);
  drawing.globalCompositeOperation = "destination-over";
  drawing.fillStyle = "#000";
  drawing.fillRect(0, 0, made.width, made.height);
  return new Promise((resolve) => made.toBlob(resolve, "image/png"));
}

async function draw() {
  const prompt = $("region-words").value.trim();
  if (!painted || !prompt) {
    $("region-trouble").textContent = t("studio.region.needs");
    return;
  }
  $("region-draw").disabled = true;
  try {
    const sent = await api("POST", "/api/v1/sources", await mask());
    const told = await api("POST", `/api/v1/pictures/${job}/${number}/region`, { prompt, mask: sent.picture });
    $("region").close();
    asked(told);
  } catch (problem) {
    $("region-trouble").textContent = problem.message;
  } finally {
    $("region-draw").disabled = false;
  }
}

if ($("region")) {
  const canvas = $("region-mask");
  const pen_mark = document.createElement("span");
  pen_mark.id = "region-pen";
  pen_mark.className = "pen";
  pen_mark.hidden = true;
  canvas.after(pen_mark);
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = pen = place(event);
    pen_mark.hidden = true;
    dab(last.x, last.y);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    stroke(last, next);
    last = pen = next;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = canvas.width / 24;
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (ways[event.key]) {
      pen.x = Math.min(canvas.width, Math.max(0, pen.x + ways[event.key][0]));
      pen.y = Math.min(canvas.height, Math.max(0, pen.y + ways[event.key][1]));
    } else if (event.key === " ") dab(pen.x, pen.y);
    else return;
    event.preventDefault();
    showPen();
  });
  $("region-clear").addEventListener("click", () => {
    context().clearRect(0, 0, canvas.width, canvas.height);
    painted = false;
  });
  $("region-all").addEventListener("click", () => {
    context().fillStyle = stripes(context());
    context().fillRect(0, 0, canvas.width, canvas.height);
    painted = true;
  });
  $("region-close").addEventListener("click", () => $("region").close());
  $("region-draw").addEventListener("click", draw);
  $("region-form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
}
