"""Section `[moderation]` of config.toml: what the operator decides above all servers. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .rules import MAX_PATTERN, BadRule, Rule, checked_rule


class ModerationOptions(BaseModel):
    """How pictures are checked and marked, and how long things are kept. A field's description is its comment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_servers: tuple[Annotated[str, Field(pattern=r"^\d{1,20}$")], ...] = Field(
        default=(),
        max_length=1_000,
        description="Ids of the Discord servers that may use this bot. Empty: every server that invites it.",
    )
    leave_unknown_servers: bool = Field(
        default=False, description="Leave servers that are not in allowed_servers, as soon as they are seen."
    )
    rules: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(),
        max_length=500,
        description=(
            "Words and phrases that are refused in every server, which no server can switch off; a star at the end "
            'allows any ending, and "re:" begins a regular expression (RE2).'
        ),
    )
    output_check: Literal["open-nsfw", "off"] = Field(
        default="open-nsfw",
        description=(
            "What looks at every picture before it leaves the worker; servers set from which score it is held back."
        ),
    )
    watermark: bool = Field(
        default=True, description="Whether pictures carry the number of their job as an invisible watermark."
    )
    manifest: bool = Field(
        default=True, description="Whether PNG files carry a signed C2PA statement that a trained model made them."
    )
    certificate: str = Field(
        default="",
        description=(
            "Certificate chain (PEM) that signs those statements. Empty: one is made in the data folder and marked as "
            "a development certificate."
        ),
    )
    key: str = Field(default="", description="Key of that certificate (PEM, unencrypted).")
    keep_pictures_days: int = Field(
        default=0, ge=0, le=36_500, description="Days for which pictures are kept after they were drawn; 0: forever."
    )
    keep_prompts_days: int = Field(
        default=0, ge=0, le=36_500, description="Days for which prompts are kept after they were asked; 0: forever."
    )
    keep_reports_days: int = Field(
        default=365, ge=0, le=36_500, description="Days for which closed reports are kept; 0: forever."
    )

    @field_validator("rules")
    @classmethod
    def _readable(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        global_rules(rules)
        return rules


def global_rules(lines: tuple[str, ...]) -> tuple[Rule, ...]:
    """The operator's rules.

    Raises:
        ValueError: names the one that cannot be used, and why.
    """
    rules: list[Rule] = []
    for line in lines:
        regex = line.startswith("re:")
        try:
            rules.append(checked_rule(kind="regex" if regex else "word", pattern=line.removeprefix("re:")))
        except ValidationError:
            raise ValueError(f'"{line[:40]}": a rule has 1 to {MAX_PATTERN} characters') from None
        except BadRule as problem:
            raise ValueError(f'"{line}": {problem}') from None
    return tuple(rules)
