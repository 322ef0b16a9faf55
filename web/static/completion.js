// Suggestions while a prompt is typed: flags and their values, things, colours. A combobox by the ARIA pattern.

import { $, el } from "./common.js";

const MOST = 8;

/** What could stand at the end of this text: { from, options: [{ word, about, insert }] }. Pure. */
export function suggestionsFor(text, grammar) {
  const valued = /(?:^|\s)--([a-z]+)\s+(\S*)$/i.exec(text);
  if (valued) {
    const flag = grammar.flags.find((each) => each.names.includes(`--${valued[1].toLowerCase()}`));
    const values = flag && {
      ratio: grammar.aspects, style: grammar.styles, model: grammar.models, adapters: grammar.adapters, fit: flag.choices, sampler: flag.choices,
    }[flag.field];
    if (values?.length) return pick(values, valued[2], text.length - valued[2].length, (word) => ({ word, about: "", insert: `${word} ` }));
    if (flag && flag.kind !== "switch") return { from: text.length, options: [] };
  }
  const dashed = /(?:^|\s)(--?[a-z]*)$/i.exec(text);
  if (dashed) {
    const typed = dashed[1].replace(/^-+/, "").toLowerCase();
    const options = grammar.flags.filter((flag) => flag.names.some((name) => name.slice(2).startsWith(typed)))
      .map((flag) => ({ word: flag.example || flag.names[0], about: flag.help, insert: `${flag.names[0]} ` }));
    return { from: text.length - dashed[1].length, options };
  }
  for (const words of [2, 1]) {
    const found = new RegExp(`(?:^|[\\s{,])((?:\\S+\\s){${words - 1}}\\S+)$`).exec(text);
    if (!found || found[1].length < 2) continue;
    const typed = found[1];
    const known = [...grammar.colours, ...grammar.things];
    const told = pick(known, typed, text.length - typed.length, (word) => ({ word, about: "", insert: `${word} ` }));
    if (told.options.length && !told.options.some(({ word }) => word === typed)) return told;
  }
  return { from: text.length, options: [] };
}

function pick(values, typed, from, made) {
  const wanted = typed.toLowerCase();
  const begins = values.filter((value) => value.toLowerCase().startsWith(wanted));
  const holds = wanted.length > 2 ? values.filter((value) => !begins.includes(value) && value.toLowerCase().includes(` ${wanted}`)) : [];
  return { from, options: [...begins, ...holds].slice(0, MOST).map(made) };
}

/** Hang suggestions on a text field; `grammar()` gives what is known by then. Returns whether a key was used up. */
export function attach(field, list, grammar) {
  let told = { from: 0, options: [] }, active = -1;

  function show() {
    const known = grammar();
    const before = field.value.slice(0, field.selectionStart);
    told = known && field.selectionStart === field.selectionEnd ? suggestionsFor(before, known) : { from: 0, options: [] };
    active = -1;
    list.replaceChildren(...told.options.map((option, place) => el("li", {
      role: "option", id: `suggestion-${place}`, "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(place); },
    }, el("b", {}, option.word), option.about ? el("span", {}, option.about) : null)));
    list.hidden = !told.options.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    field.removeAttribute("aria-activedescendant");
  }

  function close() {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function mark(place) {
    active = place;
    for (const [index, item] of [...list.children].entries()) item.setAttribute("aria-selected", String(index === active));
    list.children[active].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", `suggestion-${active}`);
  }

  function take(place) {
    const end = field.selectionStart;
    field.setRangeText(told.options[place].insert, told.from, end, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  field.addEventListener("input", show);
  field.addEventListener("blur", close);
  field.addEventListener("click", show);
  return (event) => {
    if (list.hidden || event.isComposing) return false;
    const last = told.options.length - 1;
    if (event.key === "ArrowDown") mark(active >= last ? 0 : active + 1);
    else if (event.key === "ArrowUp") mark(active <= 0 ? last : active - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Tab" && !event.shiftKey && active >= 0) take(active);
    else if (event.key === "Enter" && !event.shiftKey && active >= 0) take(active);
    else return false;
    event.preventDefault();
    return true;
  };
}
export { $ };
