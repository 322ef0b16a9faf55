"""The list of rules that is shipped: what a bot for everybody refuses from its first minute. Pure.

Short on purpose: sexual content, above all about minors; cruelty; the signs of organised hatred. A server switches it
off as a whole (`/settings`) or adds to it (`/rules add`). A star allows any ending.
"""

from __future__ import annotations

from functools import cache

from .rules import Action, Rule

_REFUSED = """
porn* | hentai | nsfw | nude* | nudity | naked* | topless | bottomless | erotic* | sexy* | sexual* | sex | orgy | orgies
blowjob* | handjob* | masturbat* | ejaculat* | orgasm* | fetish* | bdsm | bondage | genital* | penis* | vagina* | vulva*
nipple* | boob* | tits | titties | dildo* | cock sucking | cumshot* | creampie | gangbang* | threesome | milf
strip tease* | striptease* | upskirt* | onlyfans | rape | raped | raping | rapist* | incest* | bestial* | zoophil*
loli | lolicon | shota | shotacon | child porn* | pedophil* | paedophil* | underage girl* | underage boy*
gore | gory | beheading* | decapitat* | dismember* | disembowel* | torture* | snuff film* | suicide* | self harm*
nazi* | swastika* | hitler | ku klux klan | kkk | white power | heil | isis flag | terrorist attack*
"""


@cache
def default_rules() -> tuple[Rule, ...]:
    """All of them refuse."""
    patterns = [pattern.strip() for line in _REFUSED.splitlines() for pattern in line.split("|")]
    return tuple(Rule(pattern=pattern, action=Action.REFUSE) for pattern in patterns if pattern)
