// The page at /: shows how the server is and draws what is asked for, over the API that anybody may use.

const $ = (id) => document.getElementById(id);
const LOOK_AGAIN = 3000; // milliseconds between two looks at the state
let job = null; // what is being drawn
let stream = null;

function tell(text, bad = false) {
  $("told").textContent = text;
  $("told").className = bad ? "bad" : "";
}

// --- how the server is

function inWords(health) {
  if (health.status !== "ok") return ["bad", health.problem || "the queue is down; the terminal says why"];
  if (health.workers) return ["good", health.workers === 1 ? "ready" : `ready, ${health.workers} workers`];
  if (health.worker_problem) return ["bad", `cannot draw: ${health.worker_problem}`];
  const starting = Object.keys(health.worker_processes || {}).length > 0;
  return ["wait", starting ? "the worker is starting" : health.problem];
}

async function look() {
  let kind = "bad", text = "does not answer; is scripts/start still running?", bot = "";
  try {
    const health = await (await fetch("/healthz")).json();
    [kind, text] = inWords(health);
    bot = health.bot || "";
  } catch { /* said above */ }
  document.body.className = kind;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  $("bot-state").textContent = bot === "ready" ? "Done: the bot is connected." : bot ? `The bot is ${bot}.` : "";
  setTimeout(look, LOOK_AGAIN);
}

// --- drawing

function busy(is) {
  $("draw").disabled = is;
  $("cancel").hidden = !is;
}

function over() {
  stream?.close();
  stream = job = null;
  busy(false);
  $("progress").className = "done";
}

function waiting(body) {
  if (body.state === "queued") return body.position ? `waiting, ${body.position} ahead` : "waiting for a worker";
  return body.state === "sent" ? "starting" : "drawing";
}

function show(source, preview) {
  $("figure").hidden = false;
  $("picture").src = source;
  $("picture").className = preview ? "preview" : "";
}

function onJob(body) {
  if (!body.finished) {
    tell(waiting(body));
    return;
  }
  const prompt = body.request.prompt;
  over();
  if (!body.pictures.length) {
    $("figure").hidden = true;
    tell(body.message || `the picture was ${body.state}`, body.state !== "cancelled");
    return;
  }
  show(body.pictures[0], false);
  $("picture").alt = prompt;
  $("caption").textContent = `${prompt} · seed ${body.seeds[0]} · ${body.seconds.toFixed(1)} s`;
  $("save").href = body.pictures[0];
  $("save").download = `daguerre-${body.seeds[0]}.png`;
  $("save").hidden = false;
  if ($("told").dataset.kept) tell($("told").dataset.kept);
  else tell("");
}

function onProgress(body) {
  $("figure").hidden = false; // the steps are told even where no preview comes
  $("progress").className = "";
  $("progress").max = body.steps;
  $("progress").value = body.step;
  tell(`drawing, step ${body.step} of ${body.steps}`);
  if (body.preview) show(body.preview, true);
}

function follow(id) {
  stream = new EventSource(`/api/v1/jobs/${id}/events`);
  stream.addEventListener("job", (event) => onJob(JSON.parse(event.data)));
  stream.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
  stream.onerror = () => {
    if (stream?.readyState === EventSource.CLOSED) {
      over();
      tell("the server does not know this picture any more; ask again", true);
    } else if (stream) tell("the server does not answer; waiting for it"); // the browser tries again by itself
  };
}

function unknown(words) {
  return Object.entries(words).map(([word, nearest]) =>
    `the model does not know “${word}”${nearest.length ? `; did you mean ${nearest.join(" or ")}?` : ""}`).join("\n");
}

async function draw(event) {
  event.preventDefault();
  const prompt = $("prompt").value.trim() || $("prompt").placeholder;
  busy(true);
  $("figure").hidden = true;
  $("save").hidden = true;
  $("caption").textContent = "";
  tell("sending");
  try {
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ prompt }),
    });
    const body = await answer.json();
    if (!answer.ok) {
      over();
      tell(body.message, true);
      return;
    }
    job = body.id;
    $("told").dataset.kept = unknown(body.unknown_words);
    follow(job);
  } catch {
    over();
    tell("the server does not answer; is scripts/start still running?", true);
  }
}

$("form").addEventListener("submit", draw);
$("cancel").addEventListener("click", () => job && fetch(`/api/v1/jobs/${job}`, { method: "DELETE" }).catch(() => {}));
look();
