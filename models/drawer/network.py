"""The denoiser that draws from drawings: a plain transformer on patches of RGBA pixels.

It predicts the clean picture (x-prediction, JiT, 2511.13720) from a noised one, words, and drawings of the same thing
in other styles (references; RDM, 2204.11824; Re-Imagen, 2209.14491). References and words are not rows of their own:
every layer lets the picture's tokens attend to them beside one another, and what they say is worked out once for all
steps (`read`), since it does not depend on the noise.

Shapes: B pictures, S their side, P the patch's side, N = (S / P)² patches, D the width, R references, L words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional

#: Roles of a reference: a drawing of the thing, or another thing in the wanted style.
THING, STYLE = 0, 1


@dataclass(frozen=True, slots=True)
class Context:
    """What one batch is drawn from, as every layer's keys and values; fixed over all steps."""

    #: For each layer (B, heads, M, D / heads), M = R · N + L.
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    #: (B, 1, 1, M): 0 where a token may be attended to, -inf where it is padding or left out.
    bias: Tensor
    #: Mean of the words, (B, D), for the modulation.
    pooled: Tensor
    #: What the references of the thing have at each place, (B, N, D), added to the picture's tokens.
    here: Tensor

    def rows(self, index: Tensor) -> Context:
        """The context of some pictures, in another order or repeated."""
        return Context(
            tuple(key[index] for key in self.keys), tuple(value[index] for value in self.values), self.bias[index],
            self.pooled[index], self.here[index],
        )  # fmt: skip


#: Cosines and sines of places, (M, D / heads) each: rotary positions (RoFormer, 2104.09864), over rows and columns.
Turn = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """Attention of the picture's tokens to themselves and to the context, in one softmax; queries and keys normed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_query = nn.RMSNorm(width // heads, eps=1e-6)
        self.norm_key = nn.RMSNorm(width // heads, eps=1e-6)

    def read(self, tokens: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """Keys and values of context tokens (B, M, D), by the same weights as the picture's own."""
        width = tokens.shape[-1]
        key, value = functional.linear(tokens, self.qkv.weight[width:]).chunk(2, -1)
        return turned(self.norm_key(self._split(key)), turn), self._split(value)

    def forward(self, tokens: Tensor, turn: Turn, key: Tensor | None = None, value: Tensor | None = None,
                bias: Tensor | None = None) -> Tensor:  # fmt: skip
        """(B, N, D) → (B, N, D)."""
        query, own_key, own_value = (self._split(part) for part in self.qkv(tokens).chunk(3, -1))
        query, own_key = turned(self.norm_query(query), turn), turned(self.norm_key(own_key), turn)
        scores = query @ own_key.transpose(-1, -2)
        if key is not None and value is not None and bias is not None:
            # Plain products: the fused kernel's backward is slower on processors.
            scores = torch.cat([scores, query @ key.transpose(-1, -2) + bias.to(scores.dtype)], -1)
            own_value = torch.cat([own_value, value], 2)
        weights = torch.softmax(scores * query.shape[-1] ** -0.5, -1)
        return self.out((weights @ own_value).transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention and a feed-forward network, both modulated (adaLN-single, PixArt-α, 2310.00426)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.norm_feed = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        #: This block's own share of the modulation: shift, scale, gate, twice.
        self.table = nn.Parameter(torch.zeros(6, width))

    def forward(self, tokens: Tensor, modulation: Tensor, turn: Turn, *context: Tensor) -> Tensor:
        """(B, N, D), (B, 6, D), the tokens' places, the layer's context → (B, N, D)."""
        shift, scale, gate, shift2, scale2, gate2 = (modulation + self.table).unsqueeze(2).unbind(1)
        tokens = tokens + gate * self.attention(self.norm_attention(tokens) * (1 + scale) + shift, turn, *context)
        fed = self.norm_feed(tokens) * (1 + scale2) + shift2
        return tokens + gate2 * self.down(functional.gelu(self.up(fed), approximate="tanh"))


class DrawerDenoiser(ModelMixin, ConfigMixin):
    """x_t, t, words and references → the clean picture."""

    @register_to_config
    def __init__(
        self, size: int = 64, patch: int = 8, channels: int = 4, width: int = 320, depth: int = 8, heads: int = 5,
        inner: int = 1280, words_width: int = 192, words: int = 24, reference_depth: int = 1, refine: int = 32,
    ) -> None:  # fmt: skip
        """`size`, `patch`: pixels. `words`: most tokens of a text. `refine`: channels of the last convolutions."""
        super().__init__()
        self.grid = size // patch
        pixels = patch * patch * channels
        self.patch_in = nn.Linear(pixels, width)
        self.reference_in = nn.Linear(pixels, width)
        self.words_in = nn.Linear(words_width, width)
        self.places = nn.Parameter(torch.randn(1, self.grid**2, width) * 0.02)
        self.word_places = nn.Parameter(torch.randn(1, words, width) * 0.02)
        self.roles = nn.Parameter(torch.randn(2, width) * 0.02)
        self.reference_blocks = nn.ModuleList(Block(width, heads, inner) for _ in range(reference_depth))
        self.reference_gates = nn.Parameter(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])[:, None].repeat(1, width))
        self.context_norm = nn.RMSNorm(width, eps=1e-6)
        self.here_in = nn.Linear(width, width)
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.pooled_in = nn.Linear(words_width, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(width, heads, inner) for _ in range(depth))
        self.norm_out = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.modulation_out = nn.Linear(width, 2 * width)
        self.patch_out = nn.Linear(width, pixels)
        # Seams between patches are seen at once in a flat drawing: two convolutions over the whole picture mend them.
        self.refine_in = nn.Conv2d(2 * channels, refine, 3, padding=1)
        self.refine_out = nn.Conv2d(refine, channels, 3, padding=1)
        for part in (self.modulation, self.modulation_out, self.refine_out):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)
        with torch.no_grad():
            # Gates begin open a little, so that early gradients reach every block.
            self.modulation.bias.view(6, width)[[2, 5]] = 0.5

    def read(self, words: Tensor, words_known: Tensor, pooled: Tensor, references: Tensor, roles: Tensor,
             references_known: Tensor) -> Context:  # fmt: skip
        """What a batch is drawn from.

        Args:
            words: (B, L, words_width) of the text encoder.
            words_known: (B, L) bool; False for padding.
            pooled: (B, words_width).
            references: (B, R, 4, S, S) in [-1, 1], premultiplied.
            roles: (B, R) int64, `THING` or `STYLE`.
            references_known: (B, R) bool; False where there is none.
        """
        count, many = references.shape[:2]
        turn = places_of(self.grid, self.blocks[0].attention.norm_key.weight.shape[0], words.device)
        here = words.new_zeros(count, self.grid**2, self.places.shape[-1])
        known = [words_known]
        tokens = [self.words_in(words) + self.word_places[:, : words.shape[1]]]
        if many:
            drawn = self.reference_in(self._patches(references.flatten(0, 1))) + self.places
            drawn = drawn + self.roles[roles.flatten()][:, None]
            gates = self.reference_gates[None].expand(len(drawn), -1, -1)
            for block in self.reference_blocks:
                drawn = block(drawn, gates, turn)
            drawn = drawn.unflatten(0, (count, many))
            # The same place of another drawing tells most; attention finds what lies elsewhere.
            shown = (references_known & (roles == THING)).to(drawn.dtype)
            share = shown / shown.sum(1, keepdim=True).clamp(min=1)
            here = self.here_in((drawn * share[:, :, None, None]).sum(1)) * (shown.sum(1) > 0)[:, None, None]
            tokens.insert(0, drawn.flatten(1, 2))
            known.insert(0, references_known.repeat_interleave(self.grid**2, 1))
        context = self.context_norm(torch.cat(tokens, 1))
        still = context_places(turn, many, words.shape[1])
        keys, values = zip(*(block.attention.read(context, still) for block in self.blocks), strict=True)
        bias = torch.zeros(context.shape[:2], device=context.device)
        bias = bias.masked_fill(~torch.cat(known, 1), -math.inf)[:, None, None]
        return Context(keys, values, bias, self.pooled_in(pooled), here)

    def forward(self, noisy: Tensor, time: Tensor, context: Context) -> Tensor:
        """(B, 4, S, S), (B,) in [0, 1] (1 is noise), what it is drawn from → the clean picture (B, 4, S, S)."""
        given = functional.silu(self.time(_waves(time).to(self.places.dtype)) + context.pooled)
        modulation = self.modulation(given).unflatten(1, (6, -1))
        tokens = self.patch_in(self._patches(noisy)) + self.places + context.here
        turn = places_of(self.grid, self.blocks[0].attention.norm_key.weight.shape[0], noisy.device)
        for block, key, value in zip(self.blocks, context.keys, context.values, strict=True):
            tokens = block(tokens, modulation, turn, key, value, context.bias)
        shift, scale = self.modulation_out(given)[:, None].chunk(2, -1)
        drawn = self._picture(self.patch_out(self.norm_out(tokens) * (1 + scale) + shift))
        seen = torch.cat([drawn, noisy.to(drawn.dtype)], 1)
        return drawn + self.refine_out(functional.gelu(self.refine_in(seen), approximate="tanh"))

    def _patches(self, pictures: Tensor) -> Tensor:
        """(B, C, S, S) → (B, N, C · P²)."""
        return functional.pixel_unshuffle(pictures, self.config.patch).flatten(2).transpose(1, 2)

    def _picture(self, patches: Tensor) -> Tensor:
        """(B, N, C · P²) → (B, C, S, S)."""
        flat = patches.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return functional.pixel_shuffle(flat, self.config.patch)


def places_of(grid: int, width: int, device: torch.device) -> Turn:
    """Where the patches of a picture lie: half of a head's numbers turn by the row, half by the column."""
    rates = 100.0 ** (-torch.arange(width // 4, device=device) / (width // 4))
    line = torch.arange(grid, device=device)[:, None] * rates
    rows, columns = line[:, None].expand(-1, grid, -1), line[None].expand(grid, -1, -1)
    angles = torch.cat([rows, columns], -1).flatten(0, 1).repeat(1, 2)
    return angles.cos(), angles.sin()


def turned(vectors: Tensor, turn: Turn) -> Tensor:
    """(B, heads, M, D / heads) turned by their places."""
    cosine, sine = (part.to(vectors.dtype) for part in turn)
    first, second = vectors.chunk(2, -1)
    return vectors * cosine + torch.cat([-second, first], -1) * sine


def context_places(turn: Turn, many: int, words: int) -> Turn:
    """Places of `many` references, one after another, and of words, which have none."""
    cosine, sine = turn
    plain = cosine.new_ones(words, cosine.shape[1])
    return torch.cat([cosine.repeat(many, 1), plain]), torch.cat([sine.repeat(many, 1), torch.zeros_like(plain)])


def _waves(time: Tensor) -> Tensor:
    """Sines and cosines of (B,) times, (B, 256) (1706.03762, for times in thousandths)."""
    rates = torch.exp(-math.log(10_000) * torch.arange(128, device=time.device) / 128)
    angles = 1000 * time.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)
