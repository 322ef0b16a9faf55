"""What there is to know about a job, for /show, the Info button and the menu of its message."""

from __future__ import annotations

from ...queue.dispatch import Why
from ...queue.prompt import say
from ...queue.records import LIVE, Job
from ..imagine import said_again
from ..interaction import Interaction, locale_of, queue_of, settings_here
from ..message import approximate_time, details
from ..text import plain, shorten, shown, text


async def information(interaction: Interaction, job: Job, picture: int | None = None) -> str:
    """A job in words: what repeats it, how it stands, where it came from and what came of it."""
    locale, queue = locale_of(interaction), queue_of(interaction)
    request = job.request
    if picture is not None and request.count > 1:
        request = request.model_copy(update={"count": 1, "seed": request.seeds[picture % request.count]})
    settings, workers = await settings_here(interaction), await queue.workers()
    wish = said_again(request, settings, workers, seed=True, relaxed=job.priority == "relax")
    lines = [
        text("about.title", locale, job=job.id[:16]),
        f"```\n{shorten(plain(say(wish)), 900).replace('`', 'ˋ')}\n```",
        details(request, locale, job.metadata),
        await _standing(interaction, job, locale),
    ]
    if job.metadata.get("model"):
        lines.append(text("about.model", locale, model=shown(str(job.metadata["model"]), 60)))
    origin = await queue.members.origin(job.id)
    if origin is not None:
        action = text(f"button.{origin.action}", locale, number=str(origin.picture + 1))
        lines.append(text("about.parent", locale, parent=origin.parent[:16], picture=origin.picture + 1, action=action))
    children = await queue.members.children(job.id)
    if children:
        lines.append(text("about.children", locale, jobs=", ".join(f"`{child.job[:16]}`" for child in children)))
    return "\n".join(line for line in lines if line)


async def _standing(interaction: Interaction, job: Job, locale: str) -> str:
    state = text(f"state.{job.state.value}", locale)
    when = text("about.when", locale, state=state, created=int(job.created))
    if job.state not in LIVE:
        return when
    return f"{when}\n{reasons(await queue_of(interaction).why(job.id), locale)}"


def reasons(why: Why, locale: str) -> str:
    """Why a job waits, and for how long. Pure."""
    known = {
        "paused": "about.why.paused",
        "server_paused": "about.why.paused",
        "no_worker": "about.why.no_worker",
        "no_fitting_worker": "about.why.no_fit",
        "line": "about.why.line",
        "next": "about.why.next",
    }
    said = text(known.get(why.reason, "about.why.running"), locale, place=why.place + 1)
    if why.done_in is not None:
        said += " " + text("about.why.done", locale, eta=approximate_time(why.done_in, locale))
    return said
