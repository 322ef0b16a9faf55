"""The mathematics of both objectives, checked against its own definitions and against stock schedulers."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from daguerre.models.training.objectives import Epsilon, Flow, objective
from daguerre.models.training.schedule import learning_rate

CLEAN = torch.linspace(-2, 2, 4 * 6 * 6).reshape(1, 4, 6, 6)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_ddpm_forward_in_one_go_is_the_chain_of_single_steps() -> None:
    """Eq. 4 has the mean and variance of t applications of eq. 2."""
    ddpm = Epsilon(steps=50, first=1e-3, last=0.2)
    mean, variance = 1.0, 0.0
    for beta in ddpm.betas().double().tolist():
        mean, variance = mean * (1 - beta) ** 0.5, variance * (1 - beta) + beta
    last = torch.tensor([49])
    zero = torch.zeros(1, 1, 1, 1)
    assert ddpm.forward(torch.ones(1, 1, 1, 1), last, zero).item() == pytest.approx(mean, rel=1e-4)
    assert ddpm.forward(zero, last, torch.ones(1, 1, 1, 1)).item() ** 2 == pytest.approx(variance, rel=1e-4)


def test_ddpm_reverse_step_is_the_stock_one() -> None:
    """Diffusers' DDPM takes the posterior's mean and the larger variance, as sec. 3.2 allows."""
    ddpm = Epsilon()
    stock = DDPMScheduler(beta_start=1e-4, beta_end=0.02, variance_type="fixed_large", clip_sample=False)
    noisy, predicted = torch.randn(CLEAN.shape, generator=seeded(1)), torch.randn(CLEAN.shape, generator=seeded(2))
    for time in (999, 500, 1, 0):
        expected = stock.step(predicted, time, noisy, generator=seeded(3)).prev_sample
        ours = ddpm.reverse(noisy, time, predicted, torch.randn(CLEAN.shape, generator=seeded(3)))
        # 1 − ᾱ has few digits left at time 1.
        assert torch.allclose(ours, expected, atol=1e-3)


def spread_after(ddpm: Epsilon, *, printed: bool) -> float:
    """Standard deviation at time 0 of walks with the ideal network for pictures that are N(0, ½²)."""
    generator = seeded()
    state = torch.randn((20_000, 1, 1, 1), generator=generator)
    for time in reversed(range(ddpm.steps)):
        kept = ddpm.kept()[time]
        # E[ε | x_t] of jointly normal x₀ and ε.
        ideal = (1 - kept).sqrt() * state / (kept * 0.25 + 1 - kept)
        noise = torch.randn(state.shape, generator=generator)
        if printed:
            beta = ddpm.betas()[time]
            state = (state - beta.sqrt() * ideal) / (1 - beta).sqrt() + (beta.sqrt() * noise if time else 0)
        else:
            state = ddpm.reverse(state, time, ideal, noise)
    return state.std().item()


def test_only_equation_11_gives_back_the_spread_of_the_pictures() -> None:
    """The formula as a tutorial prints it takes too much noise away at each step: its pictures lose their variety."""
    ddpm = Epsilon(steps=400, first=2e-4, last=0.05)
    assert spread_after(ddpm, printed=False) == pytest.approx(0.5, rel=0.05)
    assert spread_after(ddpm, printed=True) < 0.25


def test_flow_ends_at_the_picture_whatever_the_steps() -> None:
    """The path of a perfect velocity is straight: the stock sampler lands on x₀ with 4 steps as with 30."""
    generator = seeded()
    for steps in (4, 30):
        scheduler = Flow().scheduler()
        scheduler.set_timesteps(steps)
        noise = torch.randn(CLEAN.shape, generator=generator)
        state = noise * scheduler.init_noise_sigma
        for time in scheduler.timesteps:
            state = scheduler.step(noise - CLEAN, time, state).prev_sample
        assert torch.allclose(state, CLEAN, atol=0.02)


@pytest.mark.parametrize("name", ["flow", "epsilon"])
def test_a_perfect_network_has_no_loss_and_a_silent_one_has(name: str) -> None:
    aim = objective(name, shift=0.5)
    clean = CLEAN.repeat(8, 1, 1, 1)

    def perfect(noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        level = times[:, None, None, None] / 1000
        if name == "flow":
            return (noisy - clean) / level
        kept = Epsilon().kept()[times.long()][:, None, None, None]
        return (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()

    tokens = torch.zeros(8, 4, dtype=torch.long)
    # Dividing by a level near zero costs digits, no more.
    assert aim.loss(perfect, clean, tokens, seeded()) < 1e-4
    assert aim.loss(lambda noisy, *_: torch.zeros_like(noisy), clean, tokens, seeded()) > 0.3


def test_more_shift_means_more_noise() -> None:
    levels = [Flow(shift).levels(4000, seeded()).mean().item() for shift in (-1.0, 0.0, 1.0)]
    assert levels == sorted(levels)
    assert levels[1] == pytest.approx(0.5, abs=0.02)


def test_an_objective_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="flow and epsilon"):
        objective("gan", shift=0)


def test_the_rate_rises_stays_and_falls() -> None:
    """Warm-up, plateau, cosine to zero; without a plateau the cosine begins at once."""
    rates = [learning_rate(step, 100, 10, 0.5) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:56] == [1.0] * 46
    assert rates[56:] == sorted(rates[56:], reverse=True)
    assert rates[100] == pytest.approx(0)
    assert learning_rate(55, 100, 10) == pytest.approx(0.5)
