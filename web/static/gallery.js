// The gallery: the next page comes as one scrolls, as the same HTML that the server writes for the first one.

import { $, t, tell } from "./common.js";

const days = $("days");
let busy = false;

async function further() {
  const end = days.querySelector(".further"), next = end?.dataset.next;
  if (!next || busy) return;
  busy = true;
  const query = new URLSearchParams(location.search);
  query.set("before", next);
  query.set("day", [...days.querySelectorAll(".day")].at(-1)?.dataset.day ?? "");
  try {
    const answer = await fetch(`/gallery/more?${query}`);
    if (!answer.ok) throw new Error(t("studio.no_answer"));
    // Our own server's page, escaped by it; scripts in it would not run anyway.
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    end.replaceWith(...page.body.children);
    watch();
  } catch (problem) {
    tell(problem.message);
  } finally {
    busy = false;
  }
}

const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && further(), { rootMargin: "1200px" });

function watch() {
  seen.disconnect();
  const end = days.querySelector(".further");
  if (end?.dataset.next) seen.observe(end);
}
watch();

for (const choice of document.querySelectorAll(".filters select, .filters input[type=checkbox]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
