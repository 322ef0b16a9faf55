"""The gate before the queue: every request of every path passes here, and what may not be asked for stops here.

Bans, the operator's servers, the server's clamps and lists, then the rules over every text of the request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from sqlalchemy import select

from ..errors import QueueError
from ..observe import Meters
from ..records import OUT, ImageRequest, Limits, Priority, of_roles, parse_roles
from ..store import JOBS, Audit, Database, ServerSettings, ServerSettingsStore
from .options import ModerationOptions, global_rules
from .records import Marks
from .reports import Reports
from .rules import Action, Rule, Verdict, book_of
from .rules_default import default_rules
from .store import SELF, ModerationStore

#: What stands for servers where nobody moderates: this machine's own API, and direct messages.
LOCAL = "local"
UNMODERATED = frozenset({LOCAL, "dm"})
#: Jobs among which a message is looked for.
MESSAGES = 5_000
#: Words at the end of one text, and at the beginning of another, in which one word may lie in pieces.
MEETING = 6
#: Refusals that are remembered.
REMEMBERED = 1_000


class Forbidden(QueueError):
    """This may not be asked for; nothing was queued. `code` and `values` name the text that members see."""

    def __init__(self, code: str, why: str, **values: Any) -> None:
        super().__init__(why)
        self.code = code
        self.values = values


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be queued, as it may be queued."""

    request: ImageRequest
    limits: Limits
    marks: Marks
    #: Whether the member may not use the fast priority here.
    slow: bool = False

    def priority(self, wanted: Priority) -> Priority:
        """The priority that it waits with."""
        return "relax" if self.slow else wanted

    def job_marks(self, *, blurred: bool = False) -> Mapping[str, Any] | None:
        """Its row in `job_marks` but for the job; None where there is nothing to say. `blurred`: in any case."""
        marks = replace(self.marks, spoiler=self.marks.spoiler or blurred)
        return asdict(marks) if marks != Marks() else None


def texts_of(request: ImageRequest, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every text of a request that somebody wrote, by name; parts are read on their own and run together."""
    texts = {"prompt": request.prompt, "negative": request.negative, "style": request.style}
    texts |= {f"part {number}": part.text for number, part in enumerate(request.parts)}
    if len(request.parts) > 1:
        texts["parts"] = "-".join(part.text for part in request.parts)
    # A word may begin in one text and end in another: the ends that could meet, as if one blank stood between them.
    for one, other in (("prompt", "negative"), ("negative", "prompt"), ("prompt", "style"), ("style", "prompt")):
        if texts[one] and texts[other]:
            texts[f"{one} and {other}"] = " ".join((*texts[one].split()[-MEETING:], *texts[other].split()[:MEETING]))
    return texts | dict(extra or {})


def rules_for(
    settings: ServerSettings, own: tuple[Rule, ...], above: tuple[Rule, ...], *, relaxed: bool
) -> tuple[Rule, ...]:
    """The rules that hold: the operator's, the server's, and the shipped list unless it is off here. Pure."""
    shipped = default_rules() if settings.default_rules and not relaxed else ()
    return (*above, *own, *shipped)


def look(rules: tuple[Rule, ...], request: ImageRequest, extra: Mapping[str, str] | None = None) -> Verdict:
    """What the rules say about a request. Pure; raises BadRule for a rule that cannot be used."""
    return book_of(rules).check(texts_of(request, extra))


def replaced(request: ImageRequest, verdict: Verdict) -> ImageRequest:
    """The request with its words replaced as `replace` rules say. Pure.

    Raises:
        Forbidden: nothing is left of the prompt.
    """
    if not verdict.has(Action.REPLACE):
        return request
    prompt = verdict.replaced("prompt", request.prompt)
    if not prompt:
        raise Forbidden("refused.rule", "nothing is left of the prompt")
    parts = tuple(
        part.model_copy(update={"text": text})
        for number, part in enumerate(request.parts)
        if (text := verdict.replaced(f"part {number}", part.text))
    )
    changes = {"prompt": prompt, "negative": verdict.replaced("negative", request.negative), "parts": parts}
    if any(hit.field == "style" for hit in verdict.hits):
        changes["style"] = ""
    return request.model_copy(update=changes)


class Moderation:
    """What moderators decide, in one place. Methods raise StorageFull or QueueUnavailable when the database fails."""

    def __init__(
        self, database: Database, settings: ServerSettingsStore, options: ModerationOptions,
        meters: Meters | None = None,
    ) -> None:  # fmt: skip
        self.options = options
        self._meters = meters or Meters()
        self.database = database
        self.store = ModerationStore(database)
        self.reports = Reports(database)
        self.audit = Audit(database)
        self._settings = settings
        self._above = global_rules(options.rules)
        #: Refusals by the key of what was asked: Discord may deliver an interaction twice.
        self._refused: dict[str, Forbidden] = {}

    def adopt(self, options: ModerationOptions) -> None:
        """Go by these from the next request on."""
        self.options = options
        self._above = global_rules(options.rules)

    def serves(self, server: str) -> bool:
        """Whether the operator lets this server use the bot."""
        return not self.options.allowed_servers or server in UNMODERATED or server in self.options.allowed_servers

    def prepare(self) -> None:
        """Make the rules of a server without own ones ready: the first look takes 150 ms, later ones a fifth of one."""
        book_of(rules_for(ServerSettings(), (), self._above, relaxed=False))

    async def admit(
        self,
        request: ImageRequest,
        *,
        key: str,
        member: str,
        server: str,
        roles: Collection[str] = (),
        relaxed: bool = False,
        limits: Limits | None = None,
    ) -> Admitted:
        """Let a request in, perhaps changed. `relaxed`: in an age-restricted channel where more is allowed.

        The same `key` again is refused as before, and warned about once. `limits` are those of the operator.

        Raises:
            Forbidden: it may not be asked for; says why.
        """
        if (before := self._refused.get(key)) is not None:
            raise Forbidden(before.code, str(before), **before.values)
        try:
            admitted = await self._admit(request, member, server, roles, relaxed)
        except Forbidden as refusal:
            self._refused[key] = refusal
            while len(self._refused) > REMEMBERED:
                self._refused.pop(next(iter(self._refused)))
            raise
        return replace(admitted, limits=await self.limits(limits or Limits(), roles, member=member, server=server))

    async def _admit(
        self, request: ImageRequest, member: str, server: str, roles: Collection[str], relaxed: bool
    ) -> Admitted:
        if not self.serves(server):
            raise Forbidden("refused.server", "this server may not use this bot")
        if (ban := await self.store.ban_of(server, member, roles)) is not None:
            if ban.until is None:
                raise Forbidden("refused.banned", "banned")
            raise Forbidden("refused.banned.until", "banned for a time", until=int(ban.until))
        settings = await self._settings.get(server)
        _check_names(settings, request)
        request = settings.clamped(request)
        verdict = look(await self.rules(server, settings, relaxed=relaxed), request)
        for action, whose in {(hit.rule.action.value, self._whose(hit.rule)) for hit in verdict.hits}:
            self._meters.rule_hits.labels(action, whose).inc()
        match verdict.action:
            case Action.REFUSE:
                await self.audit.note(server, member, "rule.refused", rules=_numbers(verdict))
                raise Forbidden("refused.rule", "a rule does not allow this")
            case Action.WARN:
                count, until = await self.store.warn(
                    server, member, limit=settings.warnings, minutes=settings.timeout_minutes
                )
                if until is not None:
                    raise Forbidden("refused.warned.out", "too many warnings", count=count, until=int(until))
                raise Forbidden("refused.warned", "a warning", count=count, limit=settings.warnings)
            case Action.HOLD:
                await self.audit.note(server, member, "rule.held", rules=_numbers(verdict))
            case _:
                pass
        marks = Marks(
            spoiler=settings.spoiler or verdict.has(Action.SPOILER),
            review="held" if verdict.action is Action.HOLD else "",
            relaxed=relaxed,
        )
        slow = bool(settings.fast_roles) and settings.fast_roles.isdisjoint(roles)
        return Admitted(replaced(request, verdict), Limits(), marks, slow)

    def _whose(self, rule: Rule) -> str:
        return "server" if rule.number else "operator" if rule in self._above else "shipped"

    async def with_workers(self, server: str) -> str | None:
        """The job of a server that has been with a worker for longest; None when none is."""
        query = select(JOBS.c.id).where(JOBS.c.server == server, JOBS.c.state.in_(OUT)).order_by(JOBS.c.changed)
        return await self.database.view(lambda connection: connection.execute(query.limit(1)).scalar_one_or_none())

    async def job_of_message(self, server: str, message: int) -> str | None:
        """The job whose answer is this message, among the newest of the server; for messages without buttons."""
        query = (
            select(JOBS.c.id, JOBS.c.reply).where(JOBS.c.server == server).order_by(JOBS.c.id.desc()).limit(MESSAGES)
        )
        rows = await self.database.view(lambda connection: connection.execute(query).all())
        return next((job for job, reply in rows if isinstance(reply, dict) and reply.get("message") == message), None)  # pyright: ignore[reportUnknownMemberType]

    async def rules(self, server: str, settings: ServerSettings, *, relaxed: bool = False) -> tuple[Rule, ...]:
        """All that hold in this server."""
        return rules_for(settings, await self.store.rules(server), self._above, relaxed=relaxed)

    async def limits(self, standard: Limits, roles: Collection[str], *, member: str, server: str) -> Limits:
        """The member's limits here: the operator's, the server's, those of their roles, and what was granted today."""
        settings = await self._settings.get(server)
        limits = replace(
            standard,
            queued_per_member=_lower(standard.queued_per_member, settings.queued_per_member),
            queued_per_server=_lower(standard.queued_per_server, settings.queued_per_server),
            daily_seconds=settings.daily_seconds or standard.daily_seconds,
        )
        limits = of_roles(limits, roles, parse_roles(settings.roles))
        # A server may share out what it has, not more than the operator gives.
        if standard.daily_seconds:
            limits = replace(
                limits, daily_seconds=min(limits.daily_seconds or standard.daily_seconds, standard.daily_seconds)
            )
        if limits.daily_seconds and (bonus := await self.store.granted(server, member)):
            limits = replace(limits, daily_seconds=limits.daily_seconds + bonus)
        return limits

    def may_hold(self, server: str, settings: ServerSettings, marks: Marks) -> bool:
        """Whether the output check could still hold a picture that is being drawn.

        Not one that this machine asked for itself: its people see what is held, and nobody else could release it.
        """
        return server != LOCAL and self.options.output_check != "off" and holds(settings, marks)

    async def held(self, job: str, server: str, metadata: Mapping[str, Any], marks: Marks | None = None) -> bool:
        """Whether a rendered job waits for review: by a rule, or by what the output check found; marked so then.

        `marks` are the job's, where they have just been read.
        """
        marks = await self.store.marks(job) if marks is None else marks
        if marks.review:
            return marks.review == "held"
        settings = await self._settings.get(server)
        if server == LOCAL or not holds(settings, marks) or highest_score(metadata) * 100 < settings.hold_from:
            return False
        await self.store.mark(job, review="held")
        await self.audit.note(server, SELF, "check.held", job=job, score=highest_score(metadata))
        return True


def holds(settings: ServerSettings, marks: Marks) -> bool:
    """Whether a high enough score holds a picture of this job here. Pure."""
    return settings.hold_from > 0 and not marks.relaxed


def highest_score(metadata: Mapping[str, Any]) -> float:
    """The worst that the output check found among a job's pictures, 0 to 1; 0 where it did not look. Pure."""
    scores: Any = metadata.get("scores")
    if not isinstance(scores, list):
        return 0.0
    return max((float(score) for score in cast("list[Any]", scores) if isinstance(score, int | float)), default=0.0)


def _check_names(settings: ServerSettings, request: ImageRequest) -> None:
    """Models and styles that this server allows. Raises: Forbidden."""
    for kind, asked, allowed in (
        ("model", request.model, settings.models),
        ("style", request.style, settings.styles),
    ):
        if asked and allowed and asked not in allowed:
            raise Forbidden(f"refused.{kind}", f"this {kind} is not allowed here", allowed=", ".join(sorted(allowed)))


def _numbers(verdict: Verdict) -> list[int]:
    return sorted({hit.rule.number for hit in verdict.hits})


def _lower(one: int, other: int) -> int:
    """The stricter of two limits, where 0 is none."""
    return min(one, other) if one and other else one or other
