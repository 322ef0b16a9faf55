// Pictures with their buttons, and the requests that they come from, alike on every page.

import { $, Refusal, api, during, el, knows, t, tell, when } from "./common.js";
import { openRegion } from "./region.js";

const WAYS = [["left", "←"], ["right", "→"], ["up", "↑"], ["down", "↓"]];

/** Where a picture is shown, small and whole. */
export const addressOf = (job, number) => `/api/v1/pictures/${job}/${number}`;

async function press(job, number, action, body, asked) {
  const told = await api("POST", `${addressOf(job, number)}/${action}`, body);
  asked(told);
}

/** All buttons for one picture. `asked` gets what a press asked for; `remix` is called with job and number. */
export function actions(job, number, prompt, { asked, remix, liked = false, whole = false }) {
  const act = (action, label, extra = {}) => el("button", {
    type: "button", "data-action": action, ...extra,
    onclick: (event) => during(event.currentTarget, () => press(job, number, action, undefined, asked)),
  }, label);
  const like = el("button", {
    type: "button", "aria-pressed": String(liked), "aria-label": t("studio.picture.like"), title: t("studio.picture.like"), "data-action": "like",
    onclick: (event) => during(event.currentTarget, async () => {
      const on = like.getAttribute("aria-pressed") !== "true";
      await api(on ? "PUT" : "DELETE", `${addressOf(job, number)}/favourite`);
      like.setAttribute("aria-pressed", String(on));
      like.textContent = on ? "♥" : "♡";
    }),
  }, liked ? "♥" : "♡");
  const region = el("button", { type: "button", "data-action": "region", onclick: () => openRegion(job, number, prompt, asked) }, t("studio.picture.redraw"));
  const file = (query, label) => el("a", { className: "button", href: `${addressOf(job, number)}/file?download=1&${query}`, download: "" }, label);
  const more = el("details", { className: "menu" },
    el("summary", {}, t("studio.picture.more"), el("span", { className: "hidden" }, ` · ${t("studio.picture.actions", { number })}`)),
    el("div", {},
      act("subtle", t("button.subtle")), act("zoom15", `⤢ ${t("button.zoom15")}`), act("zoom20", `⤢ ${t("button.zoom20")}`),
      ...WAYS.map(([way, sign]) => act(way, sign, { "aria-label": t(`button.${way}`), title: t(`button.${way}`) })),
      el("h3", {}, t("studio.picture.download")),
      file("format=png", t("studio.picture.png")), file("format=png&metadata=0", t("studio.picture.bare")),
      file("format=webp", t("studio.picture.webp")), file("format=svg", t("studio.picture.svg")), file("format=sticker", t("studio.picture.sticker"))));
  const ends = whole ? [act("again", t("button.again")), el("button", { type: "button", onclick: () => remix(job, number) }, t("button.remix"))] : [];
  return el("div", { className: "acts" }, act("strong", t("studio.picture.vary")), act("upscale", t("button.upscale")), region, like, ...ends, more);
}

/** A request as the channel shows it; follows it until it is over. */
export class Request {
  constructor(body, { asked, remix, unknown = "", newly = false }) {
    this.id = body.id;
    this.asked = asked;
    this.remix = remix;
    this.how = el("p", { className: "how" });
    this.place = el("div", { className: "place" });
    this.unknown = unknown;
    this.prompt = body.request.prompt;
    this.typed = body.typed || this.prompt;
    this.cancel = el("button", {
      type: "button", className: "quiet", onclick: (event) => during(event.currentTarget, () => api("DELETE", `/api/v1/jobs/${this.id}`)),
    }, t("button.cancel"));
    this.node = el("li", { className: "request", "data-job": body.id },
      el("header", {}, el("p", { className: "said" }, el("span", { className: "command", "aria-hidden": "true" }, "/imagine "), this.typed), when(body.created), this.cancel),
      this.how, this.place);
    this.newly = newly;
    this.show(body);
    if (!body.finished) this.follow();
  }

  follow() {
    this.stream = new EventSource(`/api/v1/jobs/${this.id}/events`);
    this.stream.addEventListener("job", (event) => this.show(JSON.parse(event.data)));
    this.stream.addEventListener("progress", (event) => this.step(JSON.parse(event.data)));
    this.stream.onerror = () => {
      if (this.over) return;
      if (this.stream.readyState === EventSource.CLOSED) this.comeBack();
      else this.say(t("studio.ask.lost"));
    };
  }

  /** The browser gives a stream up when a server that restarts answers wrongly; a look at the job tells which it is. */
  async comeBack() {
    this.stream.close();
    try {
      this.show(await api("GET", `/api/v1/jobs/${this.id}`));
      if (!this.over) this.follow();
    } catch (problem) {
      if (problem.status === 404) {
        this.end();
        this.say(t("studio.ask.gone"));
      } else {
        this.say(t("studio.ask.lost"));
        setTimeout(() => this.comeBack(), 2000);
      }
    }
  }

  say(text) {
    if (this.how.textContent !== text) this.how.textContent = text;
  }

  end() {
    this.over = true;
    this.stream?.close();
    this.cancel.remove();
  }

  show(body) {
    if (body.finished) {
      this.end();
      if (body.pictures.length) this.pictures(body);
      else this.none(body);
      return;
    }
    if (body.state !== "running") this.place.replaceChildren();
    if (body.state === "queued") this.say(body.position ? t("studio.ask.ahead", { count: body.position }) : t("studio.ask.waiting"));
    else if (body.state === "sent") this.say(t("studio.ask.sent"));
    else if (!this.bar?.isConnected) this.say(t("studio.ask.drawing")); // A step says more, and may have come first.
  }

  step(body) {
    if (this.over) return;
    this.say(t("studio.ask.step", { step: body.step, steps: body.steps }));
    if (!this.bar) this.bar = el("progress", { className: "bar", "aria-label": t("studio.ask.drawing") });
    this.bar.max = body.steps;
    this.bar.value = body.step;
    if (!this.bar.isConnected) this.place.append(this.bar);
    if (!body.preview) return;
    if (!this.image) this.image = el("img", { className: "preview", alt: t("studio.picture.preview", { prompt: this.prompt }) });
    this.image.src = body.preview;
    if (!this.image.isConnected) this.place.append(this.image);
  }

  none(body) {
    const reason = knows(`reason.${body.error}`) ? t(`reason.${body.error}`) : body.message || t(`state.${body.state}`);
    this.say(body.state === "cancelled" ? t("studio.ask.cancelled") : t("studio.ask.failed", { reason }));
    this.how.classList.toggle("bad", body.state !== "cancelled");
    this.place.replaceChildren(el("button", { type: "button", onclick: () => this.remix(null, 0, this.typed) }, t("studio.ask.retry")));
  }

  pictures(body) {
    const asked = body.request, count = body.pictures.length;
    const size = `${asked.width} × ${asked.height}`;
    this.say([this.unknown, `${t("studio.picture.seed")} ${body.seeds[0]} · ${size} · ${t("studio.picture.seconds", { seconds: body.seconds.toFixed(1) })}`].filter(Boolean).join("\n"));
    this.how.style.whiteSpace = "pre-line";
    const tiles = body.pictures.map((_, index) => {
      const number = index + 1;
      const image = el("img", {
        src: `${addressOf(this.id, number)}/file?format=webp`, alt: t("studio.picture.alt", { prompt: this.prompt }), width: String(asked.width), height: String(asked.height),
        loading: this.newly ? "eager" : "lazy", decoding: "async",
      });
      return el("figure", { className: "tile" },
        el("a", { className: "frame", href: `/pictures/${this.id}/${number}` }, image),
        actions(this.id, number, this.prompt, { asked: this.asked, remix: this.remix }));
    });
    const whole = el("div", { className: "acts whole" },
      el("button", { type: "button", onclick: (event) => during(event.currentTarget, () => press(this.id, 1, "again", undefined, this.asked)) }, t("button.again")),
      el("button", { type: "button", onclick: () => this.remix(this.id, 1) }, t("button.remix")),
      el("button", { type: "button", className: "danger", onclick: (event) => during(event.currentTarget, () => this.remove()) }, t("studio.picture.delete")));
    this.place.replaceChildren(el("div", { className: count > 1 ? "grid several" : "grid" }, ...tiles), whole);
    this.liked();
  }

  async liked() {
    for (const [index, button] of [...this.place.querySelectorAll("[data-action=like]")].entries()) {
      if (this.newly) break; // nobody has pressed it yet
      try {
        const told = await api("GET", addressOf(this.id, index + 1));
        button.setAttribute("aria-pressed", String(told.favourite));
        button.textContent = told.favourite ? "♥" : "♡";
      } catch (problem) {
        if (!(problem instanceof Refusal)) throw problem;
        if (problem.status === 404) this.node.remove();
        break;
      }
    }
  }

  async remove() {
    if (!confirm(t("studio.picture.delete.sure"))) return;
    await api("DELETE", `/api/v1/pictures/${this.id}`);
    this.node.remove();
    tell(t("studio.picture.deleted"));
  }
}

/** What the model does not know of a prompt, as one sentence. */
export function unknownWords(unknown) {
  if (!unknown?.length) return "";
  const words = unknown.map(({ word, nearest, spelt }) =>
    nearest.length ? t(spelt ? "studio.ask.unknown.nearest" : "studio.ask.unknown.meant", { word, nearest: nearest.join(", ") }) : t("studio.ask.unknown.word", { word }));
  return t("studio.ask.unknown", { words: words.join(", ") });
}
export { $ };
