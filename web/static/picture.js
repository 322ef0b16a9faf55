// One picture's page: its buttons, and the proof that it can be made again.

import { $, api, during, el, t, tell } from "./common.js";
import { Request, actions, unknownWords } from "./tiles.js";

function asked(told) {
  for (const body of told.jobs) {
    $("requests").prepend(new Request(body, { asked, remix, unknown: unknownWords(told.unknown), newly: true }).node);
  }
  if (told.problem) tell(told.problem);
  $("requests").scrollIntoView({ block: "nearest" });
}

function remix(job, number) {
  location.assign(`/?remix=${job}/${number}`);
}

const place = $("actions");
if (place) {
  const { job, number, prompt, liked } = place.dataset;
  place.append(actions(job, Number(number), prompt, { asked, remix, liked: liked === "true", whole: true }));
}

$("unblur")?.addEventListener("click", (event) => {
  $("picture").classList.remove("blurred");
  event.currentTarget.remove();
});

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("typed").textContent);
    tell(t("studio.picture.copied"));
  } catch {
    getSelection().selectAllChildren($("typed")); // A page by http from another machine may not write there.
  }
});

/** Wait until a job is over. */
function ended(id) {
  return new Promise((resolve) => {
    const stream = new EventSource(`/api/v1/jobs/${id}/events`);
    stream.addEventListener("job", (event) => {
      const body = JSON.parse(event.data);
      if (!body.finished) return;
      stream.close();
      resolve(body);
    });
  });
}

function verdict(text, good) {
  $("verdict").replaceChildren(text);
  $("verdict").className = `verdict ${good === undefined ? "" : good ? "good" : "bad"}`;
}

$("reproduce").addEventListener("click", (event) => during(event.currentTarget, async () => {
  const { job, number } = event.target.dataset;
  verdict(t("studio.picture.reproducing"));
  const told = await api("POST", `/api/v1/pictures/${job}/${number}/reproduce`);
  const again = await ended(told.jobs[0].id);
  if (!again.pictures.length) {
    verdict(again.message || t("studio.trouble"), false);
    return;
  }
  const found = await api("GET", `/api/v1/pictures/${job}/${number}/compare/${again.id}`);
  verdict(t(found.identical ? (found.exact ? "studio.picture.identical" : "studio.picture.alike") : "studio.picture.different"), found.identical);
  $("verdict").append(" ", el("a", { href: `/pictures/${again.id}/${number}` }, t("studio.picture.again")));
}));
