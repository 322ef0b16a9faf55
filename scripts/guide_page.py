"""How a message that the stand-in received looks in a chat, as an HTML page. Pure. Used by guide.py."""

# ruff: noqa: E501 (the sheet of styles reads better in its own lines)

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Colours of buttons by their style.
STYLES = {1: "#5865f2", 2: "#4e5058", 3: "#248046", 4: "#da373c"}
CSS = """
* { box-sizing: border-box } body { margin: 0; background: #313338; color: #dbdee1; width: 660px;
  font: 15px/1.35 "Open Sans", "DejaVu Sans", "WenQuanYi Micro Hei", "Noto Color Emoji", sans-serif }
.message { padding: 14px 16px 14px 68px; position: relative } .face { position: absolute; left: 16px; top: 18px;
  width: 40px; height: 40px; border-radius: 50%; background: #5865f2; color: #fff; text-align: center; line-height: 40px;
  font-weight: 700 } .used { font-size: 12.5px; color: #949ba4; margin-bottom: 3px } .used b { color: #c9cdfb }
.name { font-weight: 600; color: #f2f3f5 } .app { background: #5865f2; color: #fff; font-size: 10px; padding: 1px 4px;
  border-radius: 3px; margin-left: 5px; vertical-align: 1px } .text { margin: 3px 0; white-space: pre-wrap;
  overflow-wrap: anywhere } code { background: #1e1f22; padding: 1px 4px; border-radius: 3px; font-size: 13px }
pre { background: #1e1f22; border: 1px solid #2b2d31; border-radius: 4px; padding: 8px; margin: 4px 0; font-size: 13px;
  white-space: pre-wrap } pre, code { font-family: "DejaVu Sans Mono", monospace }
blockquote { border-left: 4px solid #4e5058; margin: 2px 0; padding-left: 10px } .pill { background: #3c4270;
  color: #c9cdfb; border-radius: 3px; padding: 0 2px } .row { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px }
.button { color: #fff; border-radius: 4px; padding: 6px 13px; font-size: 13.5px; font-weight: 500 }
.button.off { opacity: .5 } .select, .input { background: #1e1f22; border: 1px solid #232428; border-radius: 4px;
  padding: 9px 12px; width: 400px; color: #b5bac1; display: flex; justify-content: space-between }
img { max-width: 400px; max-height: 350px; border-radius: 8px; margin-top: 6px; display: block }
.gallery { display: grid; grid-template-columns: repeat(3, 150px); gap: 4px; margin-top: 6px } .gallery img {
  width: 150px; height: 150px; object-fit: cover; margin: 0 } .veil { position: relative; width: fit-content;
  overflow: hidden; border-radius: 8px } .veil img { filter: blur(26px) } .veil span { position: absolute; inset: 0;
  margin: auto; width: 96px; height: 30px; line-height: 30px; background: #000c; color: #fff; border-radius: 16px;
  text-align: center; font-size: 12.5px; font-weight: 700 } .only { font-size: 12px; color: #949ba4; margin-top: 8px }
.form { background: #2b2d31; border-radius: 8px; margin: 14px; padding: 18px; width: 480px } .form h3 { margin: 0 0 10px;
  color: #f2f3f5 } .form label { font-size: 12.5px; color: #b5bac1; font-weight: 600; display: block; margin: 10px 0 5px }
.form .input { width: 100%; white-space: pre-wrap; min-height: 38px }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One message of a page."""

    #: A `SeenMessage` of the stand-in.
    message: Any
    #: Who asked, and by what: `("Ada", "/imagine")`; None for a message of the bot's own.
    used: tuple[str, str] | None = None
    #: Names behind mentions of members and channels, by id.
    names: Mapping[str, str] | None = None


def page(*parts: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><style>{CSS}</style><body>{"".join(parts)}'


def message(shown: Shown) -> str:
    """A message with what stands above and below it."""
    seen, names = shown.message, shown.names or {}
    used = ""
    if shown.used is not None:
        used = f'<div class="used"><b>{html.escape(shown.used[0])}</b> used <b>{html.escape(shown.used[1])}</b></div>'
    body = f'<div class="text">{markdown(seen.content, names)}</div>' if seen.content else ""
    v2 = bool(seen.flags & (1 << 15))
    files = "" if v2 else "".join(_picture(each) for each in seen.attachments)
    parts = "".join(_component(part, seen, names) for part in seen.components)
    only = '<div class="only">👁 Only you can see this</div>' if seen.ephemeral else ""
    name = '<span class="name">Daguerre</span><span class="app">APP</span>'
    return f'<div class="message"><div class="face">D</div>{used}<div>{name}</div>{body}{files}{parts}{only}</div>'


def form(modal: Any) -> str:
    """A form that a button opened."""
    fields = "".join(f"<label>{html.escape(each.label)}</label>{_field(each)}" for each in modal.inputs)
    done = _button({"style": 2, "label": "Cancel"}) + _button({"style": 1, "label": "Submit"})
    return f'<div class="form"><h3>{html.escape(modal.title)}</h3>{fields}<div class="row">{done}</div></div>'


def _field(each: Any) -> str:
    if each.type == 19:
        return '<div class="input">Drop a file here or browse</div>'
    part = each.component.get("component") or each.component["components"][0]
    words = each.value or part.get("placeholder") or ("Make a selection" if each.type == 3 else "")
    arrow = "<span>▾</span>" if each.type == 3 else ""
    return f'<div class="input"><span>{html.escape(words)}</span>{arrow}</div>'


def markdown(words: str, names: Mapping[str, str]) -> str:
    """Discord's markdown, as far as the bot writes it."""
    blocks = re.split(r"```(?:\w*\n)?(.*?)```", words, flags=re.DOTALL)
    found: list[str] = []
    for number, block in enumerate(blocks):
        found.append(f"<pre>{html.escape(block.strip(chr(10)))}</pre>" if number % 2 else _inline(block, names))
    return "".join(found)


def _inline(words: str, names: Mapping[str, str]) -> str:
    kept: list[str] = []

    def keep(made: str) -> str:
        kept.append(made)
        return f"\x00{len(kept) - 1}\x00"

    words = re.sub(r"\\([^\w\s])", lambda found: keep(html.escape(found[1])), words)
    words = re.sub(r"`([^`]+)`", lambda found: keep(f"<code>{html.escape(found[1])}</code>"), words)
    words = re.sub(r"<t:\d+:\w>", lambda _: keep('<span class="pill">a few seconds ago</span>'), words)
    words = re.sub(
        r"<(@|#)(\d+)>", lambda found: keep(f'<span class="pill">{found[1]}{names.get(found[2], "Ada")}</span>'), words
    )
    words = re.sub(r"</([^:<>]+):\d+>", lambda found: keep(f'<span class="pill">/{found[1]}</span>'), words)
    words = html.escape(words, quote=False)
    words = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", words)
    words = re.sub(r"(?m)^&gt; (.*)$", r"<blockquote>\1</blockquote>", words)
    while "\x00" in words:
        words = re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], words)
    return words.strip("\n")


def _picture(attachment: Any) -> str:
    image = f'<img src="{source(attachment)}">'
    return f'<div class="veil">{image}<span>SPOILER</span></div>' if attachment.spoiler else image


def source(attachment: Any) -> str:
    return f"data:{attachment.content_type};base64,{base64.b64encode(attachment.data).decode()}"


def _component(part: Mapping[str, Any], seen: Any, names: Mapping[str, str]) -> str:
    match part["type"]:
        case 1:
            return f'<div class="row">{_inside(part["components"])}</div>'
        case 10:
            return f'<div class="text">{markdown(part["content"], names)}</div>'
        case 12:
            by_name = {each.filename: each for each in seen.attachments}
            files = [by_name.get(item["media"]["url"].removeprefix("attachment://")) for item in part["items"]]
            return f'<div class="gallery">{"".join(_picture(file) for file in files if file)}</div>'
        case _:
            return ""


def _inside(parts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(_button(part) if part["type"] == 2 else _menu(part) for part in parts)


def _button(part: Mapping[str, Any]) -> str:
    emoji = (part.get("emoji") or {}).get("name") or ""
    label = html.escape(" ".join(each for each in (emoji, part.get("label") or "") if each))
    off = " off" if part.get("disabled") else ""
    return f'<span class="button{off}" style="background:{STYLES[part["style"]]}">{label}</span>'


def _menu(part: Mapping[str, Any]) -> str:
    return f'<span class="select"><span>{html.escape(part.get("placeholder") or "")}</span><span>▾</span></span>'
