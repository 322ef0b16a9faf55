"""What a prompt is drawn from: the thing that it asks for, some of its drawings, and one in the style asked for.

The shipped bank and one's own lie beside each other; the own one is read again as soon as its file changes.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import BankRefused, Unfit
from . import bank
from .bank import Bank, BankThing, Reference
from .network import MOST, SLOTS, premultiplied
from .search import Found, Search, Vectors
from .spelling import worded

log = logging.getLogger(__name__)

#: Where no style is asked for, each picture has one of these, by its seed.
HOUSE = ("noto", "twemoji", "fluent", "3d")
#: How the drawing that shows the style is marked among the ids.
STYLED = "style:"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one drawing is asked for by, and drawn from."""

    text: str
    #: Ids of drawings: of the thing, and last, marked with `STYLED`, one in the style.
    ids: tuple[str, ...]
    found: Found


@dataclass(frozen=True, slots=True)
class Shelves:
    """References as the denoiser reads them, always of the same shape."""

    #: (1, SLOTS, 4, S, S) premultiplied in [-1, 1], the last one in the style; which are there, (1, SLOTS).
    pictures: Tensor
    known: Tensor


class Shelf:
    """One or two banks, their search, and which drawings a picture is drawn from."""

    def __init__(self, shipped: Bank | None, own: Path | None, side: int, vectors: Vectors | None = None) -> None:
        """`own`: folder of one's own bank, which need not be there. `side`: of the denoiser's pictures."""
        self.side = side
        self._shipped = shipped
        self._own = own
        self._vectors = vectors if shipped is not None and len(shipped.vectors) else None
        self._stamp: tuple[int, int] | None = None
        self._banks: tuple[Bank, ...] = ()
        self._search = Search(())
        self._open(None)

    @property
    def digests(self) -> dict[str, str]:
        """Of each bank, for the metadata."""
        return {("bank" if each is self._shipped else "own_bank"): each.digest for each in self._banks}

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that can be asked for."""
        return self._search.styles

    def refresh(self) -> None:
        """Take in one's own bank where it has changed; a damaged one is told of once and left alone."""
        if self._own is None:
            return
        try:
            status = (self._own / bank.FILE).stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._open(stamp)

    def _open(self, stamp: tuple[int, int] | None) -> None:
        self._stamp = stamp
        banks = [self._shipped] if self._shipped is not None else []
        if stamp is not None and self._own is not None:
            try:
                banks.insert(0, bank.read(self._own, side=self.side))
            except BankRefused as problem:
                log.warning("one's own drawings are left out reason=%s", problem)
        self._banks = tuple(banks)
        self._search = Search(self._banks, self._vectors)

    def find(self, prompt: str, style: str = "") -> Found:
        """See `Search.find`."""
        return self._search.find(prompt, style)

    def shown(self, prompt: str, style: str, seed: int, kept: Sequence[str] = ()) -> Shown:
        """What a prompt is drawn from with this seed; the same for the same banks.

        Args:
            prompt: one thing.
            style: asked for beside the prompt, or nothing.
            seed: of the picture: others are drawn from other drawings.
            kept: ids in place of those that would be chosen.

        Raises:
            Unfit: a kept drawing is not there any more.
        """
        found = self._search.find(prompt, style)
        own = found.thing is not None and found.thing in self._own_things()
        wanted = found.style or style
        if not wanted and not own and self._search.styles:
            known = [each for each in HOUSE if each in self._search.styles] or list(self._search.styles)
            wanted = known[random.Random(f"style/{seed}").randrange(len(known))]
        named = wanted in self._search.styles
        text = worded(found.thing.caption, found.colour) if found.sure and found.thing else prompt
        text = f"{text}, {wanted} style" if wanted and wanted not in text else text
        if kept:
            for each in kept:
                self._drawing(each.removeprefix(STYLED))
            return Shown(text, tuple(kept), found)
        choose = random.Random(f"references/{seed}")
        ids: list[str] = []
        if found.sure and found.thing is not None:
            other = [each for each in found.thing.drawings if each.style != wanted] or list(found.thing.drawings)
            ids += [each.id for each in choose.sample(other, min(MOST, len(other)))]
        if named and (example := self._example(wanted, found.thing, choose)) is not None:
            ids.append(STYLED + example.id)
        return Shown(text, tuple(ids), found)

    def pictures(self, ids: Sequence[str]) -> Shelves:
        """The drawings of `Shown.ids`.

        Raises:
            Unfit, BankRefused: one is not there any more, or is damaged.
        """
        pictures = torch.full((1, SLOTS, 4, self.side, self.side), -1.0)
        known = torch.zeros(1, SLOTS, dtype=torch.bool)
        for place, each in enumerate([one for one in ids if not one.startswith(STYLED)][:MOST]):
            pictures[0, place], known[0, place] = self._pixels(each), True
        for each in [one for one in ids if one.startswith(STYLED)][:1]:
            pictures[0, MOST], known[0, MOST] = self._pixels(each.removeprefix(STYLED)), True
        return Shelves(pictures, known)

    def _own_things(self) -> tuple[BankThing, ...]:
        return self._banks[0].things if self._banks and self._banks[0] is not self._shipped else ()

    def _example(self, style: str, thing: BankThing | None, choose: random.Random) -> Reference | None:
        """Another thing in that style, an emoji where there is one: their drawings are the most alike."""
        drawn = [pair for each in self._banks for pair in each.of_style.get(style, ())]
        fitting = [drawing for other, drawing in drawn if other is not thing and other.emoji]
        fitting = fitting or [drawing for other, drawing in drawn if other is not thing]
        return choose.choice(fitting) if fitting else None

    def _drawing(self, name: str) -> tuple[Bank, Reference]:
        for each in self._banks:
            if name in each.by_id:
                return each, each.by_id[name]
        raise Unfit(f"The drawing {name} is in no bank here any more: the picture cannot be drawn from it again.")

    def _pixels(self, name: str) -> Tensor:
        """(4, S, S)"""
        where, drawing = self._drawing(name)
        return premultiplied(torch.from_numpy(where.pixels(drawing).copy()))
