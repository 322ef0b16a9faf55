"""Every text that a member sees, in one place. English; codes are what other languages will translate. Pure.

Codes read `<where>.<what>`: `command.*` in Discord's command picker, `card.*` on the status message, `end.*` on the
finished message, `reason.*` why a worker refused, `refused.*` private answers, `settings.*`, `cancel.*`.
"""

from __future__ import annotations

_TEXTS: dict[str, str] = {
    # ---- Discord's command picker (at most 100 characters each)
    "command.imagine": "Draw a picture from words",
    "command.imagine.prompt": "What the picture shows, such as: a red apple",
    "command.imagine.count": "How many pictures, 1 to 4",
    "command.imagine.seed": "The same seed and prompt give the same picture; leave it out for a new one",
    "command.settings": "How Daguerre works in this server",
    "command.settings.view": "Show this server's settings",
    "command.settings.set": "Change this server's settings",
    "command.settings.set.steps": "Default denoising steps, 1 to 50: more is slower and finer",
    "command.settings.set.guidance": "How closely pictures follow the prompt, 1 to 12",
    "command.settings.set.size": "Width and height of a picture in pixels",
    "command.settings.set.allow_channel": (
        "Allow /imagine in this channel; once one is allowed, only allowed ones work"
    ),
    "command.settings.set.remove_channel": "Take this channel off the list of allowed channels",
    "command.settings.set.all_channels": "Empty the list: /imagine works in every channel",
    "command.imagine.relaxed": "Wait for a quiet moment instead of your turn in the fast lane",
    "command.queue": "Jobs of this server",
    "command.queue.status": "How many jobs of this server wait and run",
    "command.queue.pause": "Let this server's jobs wait; what runs is finished",
    "command.queue.resume": "Let this server's jobs go on",
    "command.queue.dead": "List this server's jobs that ended without pictures",
    "command.queue.retry": "Try a job again that ended without pictures",
    "command.queue.cancel": "Cancel a job of this server",
    "command.queue.job": "Number of the job, or its beginning",
    # ---- the status message
    "card.title": "**{prompt}**",
    "card.title.several": "**{prompt}** · {count} pictures",
    "card.queued": "🕓 Queued.",
    "card.next": "🕓 Queued: next in line.",
    "card.place": "🕓 Queued: place {place}.",
    "card.place.eta": "🕓 Queued: place {place}, about {eta}. Before you: {ahead}.",
    "card.paused": "🕓 Queued: place {place}. The queue is paused by the people who look after it; your job waits.",
    "card.no_fit": "🕓 Queued: place {place}. No connected worker can draw this; your job waits for one that can.",
    "card.ahead.own": "{count} of yours",
    "card.ahead.server": "{count} from this server",
    "card.ahead.others": "{count} from other servers",
    "card.ahead.lane": "{count} of the other lane",
    "card.seconds": "{count} s",
    "card.minutes": "{count} min",
    "card.hours": "{count} h",
    "card.no_worker": (
        "🕓 Queued: place {place}. No worker is connected; your job waits and will be rendered when one comes back."
    ),
    "card.sent": "🎨 Handed to a worker…",
    "card.running": "🎨 Rendering…",
    "card.step": "🎨 {bar} step {step} of {steps}",
    "card.unknown": "I have not learnt {words}, so the picture may leave that out.",
    "card.unknown.word": "“{word}”",
    "card.unknown.nearest": "“{word}” (do you mean {nearest}?)",
    "card.unknown.more": "{count} more words",
    # ---- the finished message
    "end.details": "seed {seed} · {width} × {height} · {steps} steps · guidance {guidance}",
    "end.details.several": "seeds {seed} to {last} · {width} × {height} · {steps} steps · guidance {guidance}",
    "end.smaller": "Sent as {format} because the PNG was too large for Discord here.",
    "end.failed": "❌ Not rendered: {reason}",
    "end.dead": (
        "❌ Rendering broke {attempts} times, so this job was given up. Please ask once more; if it breaks again, "
        "tell the people who run this bot and give them the job number {job}."
    ),
    "end.cancelled": "🚫 Cancelled.",
    "end.lost": (
        "❌ The picture was rendered, but its file cannot be read any more. Please ask once more; if it happens "
        "again, tell the people who run this bot and give them the job number {job}."
    ),
    "end.too_large": (
        "❌ The picture was rendered, but Discord takes no file of its size here. Ask for fewer pictures, or have "
        "someone with Manage Server choose a smaller size with /settings set."
    ),
    "end.broken": (
        "❌ The answer to this job could not be put together. The people who run this bot find the reason in its "
        "log under {error}."
    ),
    "end.number": "-# job {job}",
    "end.mention": "{mention}, here is your answer; the first message can no longer be changed.",
    # ---- why a worker refused (codes of RenderRefused)
    "reason.unrenderable": (
        "the pictures do not fit into the memory of the machine that draws. Ask for fewer pictures, or have someone "
        "with Manage Server choose a smaller size with /settings set."
    ),
    "reason.unreadable": "what was asked for cannot be read from the job table any more. Please ask once more.",
    "reason.other_version": (
        "it was queued by another version of this bot, which this one does not understand. Please ask once more."
    ),
    "reason.other": "the worker cannot render this request. Please change the prompt or the settings.",
    # ---- private answers to /imagine
    "refused.prompt.empty": "The prompt is empty. Write what the picture should show, for example: a red apple.",
    "refused.prompt.long": "The prompt has {length} characters; at most {limit} are possible. Please shorten it.",
    "refused.count": "Count must be from {low} to {high}.",
    "refused.seed": "Seed must be a whole number from {low} to {high}. Leave it out for a new picture each time.",
    "refused.field": "“{field}” is out of range. Please choose another value.",
    "refused.words": "I know none of these words. I was taught everyday things: try {examples}.",
    "refused.words.nearest": (
        "I know none of these words. Do you mean {nearest}? I was taught everyday things: try {examples}."
    ),
    "refused.channel": "/imagine is not switched on in this channel. It works in {channels}.",
    "refused.attach": (
        "I may not send files in this channel, so a picture could not arrive. Ask someone who manages this server"
        " to give me the permission “Attach Files” here."
    ),
    "refused.queue_full": (
        "You already have {limit} jobs waiting. Wait for one of them, or cancel one with its button."
    ),
    "refused.queue_full.server": (
        "{limit} jobs of this server are waiting already, which is its limit. Try again when one of them has ended."
    ),
    "refused.queue_full.total": (
        "{limit} jobs are waiting already, which is all that this bot takes. Try again when one of them has ended."
    ),
    "refused.queue_full.daily": (
        "That is more than the {limit} seconds of drawing that you have a day. They begin anew <t:{resets}:R>."
    ),
    "refused.storage": (
        "The disk of this bot is full, so nothing can be queued. Please tell the people who run it, and try again"
        " later."
    ),
    "refused.queue_away": (
        "The job queue cannot be reached just now, so nothing was queued. Please try again in a minute."
    ),
    "refused.error": (
        "Something went wrong here, and nothing was done. Please try again; if it happens again, tell the people "
        "who run this bot and give them the number {error}."
    ),
    "refused.restarting": "This bot is restarting, so nothing was done. Please try again in a minute.",
    "refused.outdated": "This command has changed. Restart your Discord app to see the new one, and try again.",
    # ---- /settings
    "settings.view": (
        "**Settings of this server** (defaults for /imagine)\nSteps: {steps}\nGuidance: {guidance}\nSize: {size} "
        "× {size} pixels\nChannels: {channels}"
    ),
    "settings.saved": "Saved. {view}",
    "settings.all_channels": "all",
    "settings.nothing": (
        "Nothing to change: give at least one of steps, guidance, size, allow_channel, remove_channel and all_channels."
    ),
    "settings.not_allowed": "Only members with the permission “Manage Server” may see or change these settings.",
    "settings.server_only": "Settings belong to a server. Use this command in one.",
    "settings.range": "“{field}” is out of range: {allowed}.",
    "settings.range.steps": "steps go from 1 to 50",
    "settings.range.guidance": "guidance goes from 1 to 12",
    "settings.range.size": "sizes are 128, 256 and 512",
    "settings.too_many_channels": (
        "At most {limit} channels fit on the list. Use all_channels to allow every channel."
    ),
    # ---- /queue
    "queue.status": (
        "**Jobs of this server**\nWaiting: {waiting}\nWith a worker: {running}\nWorkers: {workers}\n{state}"
    ),
    "queue.open": "Jobs are handed out.",
    "queue.paused": "The queue is paused.",
    "queue.paused.now": "Paused: this server's jobs wait until /queue resume. What runs is finished.",
    "queue.resumed": "This server's jobs go on.",
    "queue.dead.none": "No job of this server ended without pictures.",
    "queue.dead.title": "**Jobs that ended without pictures**, newest first",
    "queue.dead.line": "`{job}` {state} after {attempts} attempts, <t:{when}:R>",
    "queue.retried": "Job {job} is tried again; its message says how it goes.",
    "queue.cancelled": "Job {job} is cancelled.",
    "queue.not_dead": "Job {job} did not end without pictures, so there is nothing to try again.",
    "queue.unknown_job": "No job of this server has a number that begins so. /queue dead lists those that failed.",
    "queue.not_allowed": "Only members with the permission “Manage Messages” may steer this server's jobs.",
    # ---- the Cancel button
    "cancel.button": "Cancel",
    "cancel.not_allowed": "Only the member who asked, or someone with “Manage Messages”, may cancel this.",
    "cancel.gone": "There is nothing left to cancel: this job has already ended.",
}


def text(code: str, /, **values: object) -> str:
    """The text of this code with its values filled in. KeyError when either is missing: a bug of ours."""
    return _TEXTS[code].format(**values)


def reason(code: str | None) -> str:
    """Why a worker refused, for the code it gave; a general sentence for codes without a text."""
    return _TEXTS.get(f"reason.{code}", _TEXTS["reason.other"])


def codes() -> frozenset[str]:
    """All codes there are."""
    return frozenset(_TEXTS)
