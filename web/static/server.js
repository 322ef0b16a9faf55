// One server's page: settings and rules, saved through the API; the page is then read anew, with its history.

import { $, api, during, t, tell } from "./common.js";

const form = $("settings"), server = form?.dataset.server;

function valueOf(field) {
  const text = field.value.trim();
  switch (field.dataset.kind) {
    case "boolean": return field.checked;
    case "integer": case "number": return text === "" || text === "–" ? null : Number(text);
    case "list": return text ? text.split(",").map((each) => each.trim()).filter(Boolean) : [];
    default: return field.value === "–" ? "" : field.value;
  }
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  during(form.querySelector(".primary"), async () => {
    const fields = [...form.elements].filter((field) => field.name);
    await api("PUT", `/api/v1/servers/${server}/settings`, Object.fromEntries(fields.map((field) => [field.name, valueOf(field)])));
    tell(t("studio.operate.saved"));
    location.reload();
  });
});

$("rule")?.addEventListener("submit", (event) => {
  event.preventDefault();
  during(event.submitter, async () => {
    await api("POST", `/api/v1/servers/${server}/rules`, Object.fromEntries(new FormData(event.target)));
    location.reload();
  });
});

for (const button of document.querySelectorAll("[data-remove]")) {
  button.addEventListener("click", () => during(button, async () => {
    await api("DELETE", `/api/v1/servers/${server}/rules/${button.dataset.remove}`);
    location.reload();
  }));
}
