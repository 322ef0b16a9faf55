"""Our table of solver numbers against the stock scheduler, step for step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from daguerre.models.serving import solver

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "steps_offset": 1}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def network(x: torch.Tensor, time: torch.Tensor | float) -> torch.Tensor:
    """A stand-in for a denoiser: smooth, nonlinear, depends on the time."""
    times = torch.as_tensor(time, dtype=torch.float32).reshape(-1, 1, 1, 1) / 1000
    return torch.sin(x * 1.3 + times) * 0.8 + 0.1 * x


@pytest.mark.parametrize("steps", [1, 2, 4, 16, 30])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        FLOW,
        SD,
        SD | {"prediction_type": "v_prediction", "timestep_spacing": "trailing"},
        SD | {"use_karras_sigmas": True},
        SD | {"prediction_type": "sample", "final_sigmas_type": "sigma_min"},
    ],
)
def test_rows_at_different_steps_follow_the_stock_scheduler(settings: dict[str, Any], order: int, steps: int) -> None:
    """Three rows with 1, `steps` and 7 steps in one batch, against three schedulers alone."""
    ours = solver.scheduler_for(DPMSolverMultistepScheduler(**settings))
    begun = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    expected = []
    for row, count in enumerate((1, steps, 7)):
        stock = DPMSolverMultistepScheduler(**settings, solver_order=order)
        stock.set_timesteps(count)
        x = begun[row : row + 1]
        for time in stock.timesteps:
            x = stock.step(network(x, time), time, x, return_dict=False)[0]
        expected.append(x)

    tables = [solver.table(ours, count, order=order) for count in (1, steps, 7)]
    x, before, at = begun.clone(), torch.zeros_like(begun), [0, 0, 0]
    while active := [row for row in range(3) if at[row] < len(tables[row].rows)]:
        rows = [tables[row].rows[at[row]] for row in active]
        outputs = network(x[active], torch.tensor([row.time for row in rows]))
        x[active], before[active] = solver.step(x[active], outputs, before[active], rows)
        for row in active:
            at[row] += 1
    torch.testing.assert_close(x, torch.cat(expected), rtol=2e-5, atol=2e-5)


def test_a_row_is_the_same_to_the_bit_among_others() -> None:
    """Solver numbers are applied row by row."""
    rows = solver.table(solver.scheduler_for(DPMSolverMultistepScheduler(**FLOW)), 8).rows
    values = torch.randn(3, 8, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    together = solver.step(*values, list(rows))
    for k in range(8):
        alone = solver.step(*values[:, k : k + 1], [rows[k]])
        assert all(torch.equal(a, b[k : k + 1]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5, 0.6, 1.0])
def test_beginning_from_a_picture_follows_the_stock_scheduler(strength: float) -> None:
    """The level at the beginning is that of `add_noise`, and the first step there is of first order."""
    stock = DPMSolverMultistepScheduler(**FLOW)
    stock.set_timesteps(10)
    picture, noise = torch.randn(2, 1, 4, 3, 3, generator=torch.Generator().manual_seed(3))
    ours = solver.scheduler_for(stock)
    begin = solver.start(10, strength)
    assert begin == 10 - int(10 * strength)
    numbers = solver.table(ours, 10, begin=begin)
    alpha, sigma = numbers.levels[begin]
    x = alpha * picture + sigma * noise
    if begin < 10:
        stock.set_begin_index(begin)
        expected = stock.add_noise(picture, noise, stock.timesteps[begin : begin + 1])
        torch.testing.assert_close(x, expected)
        before = torch.zeros_like(x)
        for k, time in enumerate(stock.timesteps[begin:], begin):
            expected = stock.step(network(expected, time), time, expected, return_dict=False)[0]
            x, before = solver.step(x, network(x, time), before, [numbers.rows[k]])
        torch.testing.assert_close(x, expected, rtol=2e-5, atol=2e-5)
    else:
        torch.testing.assert_close(x, picture)


def test_first_order_is_ddim() -> None:
    """The same as the stock sampler of that name on the same times."""
    stock = DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing")
    stock.set_timesteps(10)
    numbers = solver.table(solver.scheduler_for(stock), 10, order=1)
    x = y = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(4))
    for k, time in enumerate(stock.timesteps):
        assert numbers.rows[k].time == time
        x = stock.step(network(x, time), int(time), x, return_dict=False)[0]
        y, _ = solver.step(y, network(y, time), y, [numbers.rows[k]])
    torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)


def test_other_samplers_give_way_with_their_schedule() -> None:
    """Prediction type and noise schedule of the checkpoint stay."""
    made = solver.scheduler_for(EulerDiscreteScheduler(**SD, prediction_type="v_prediction"))
    assert made.config.prediction_type == "v_prediction"
    assert made.config.beta_schedule == "scaled_linear"
    with pytest.raises(ValueError, match="not known"):
        solver.to_picture("score", 1.0, 1.0)
