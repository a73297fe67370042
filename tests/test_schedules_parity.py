"""Schedules, cycled momentum and averages of parameters, compared live with torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import optimizers
from tests.optimizer_cases import (
    CYCLED,
    distance,
    follow_optimizers,
    make_cycled,
    problem,
)
from tests.plateau_cases import CASES as PLATEAUS
from tests.schedule_cases import SCHEDULES
from tests.test_optimizer_plateau import rates_after

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.name)
def test_rates_live(case, x64):
    from tests.torch_optimizers import torch_rates

    rates = jax.vmap(case.schedule)(jnp.arange(case.steps, dtype=jnp.int32))
    np.testing.assert_allclose(rates, torch_rates(case), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", PLATEAUS, ids=str)
def test_the_plateau_live(case, x64):
    from tests.torch_optimizers import torch_plateau

    rates, _ = rates_after(case)
    np.testing.assert_allclose(rates, torch_plateau(case), rtol=1e-14)


@pytest.mark.parametrize("case", CYCLED, ids=str)
def test_cycled_momentum_live(case, x64):
    from tests.torch_optimizers import follow_torch_cycled

    of = problem(case.optimizer)
    ours = follow_optimizers({"cycled": make_cycled(case)}, of, "float64")["cycled"]
    assert distance(ours, follow_torch_cycled(case)) <= 1e-9


@pytest.mark.parametrize("decay", [None, 0.0, 0.25, 0.999, 1.0])
def test_averages_live(decay, x64):
    import torch
    from torch.optim import swa_utils

    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    avg_fn = None if decay is None else swa_utils.get_ema_avg_fn(decay)
    theirs = swa_utils.AveragedModel(model, avg_fn=avg_fn)
    ours = optimizers.averaged_model({"weight": jnp.zeros((2, 3)), "bias": jnp.ones(2)})
    average = None if decay is None else optimizers.get_ema_avg_fn(decay)
    generator = np.random.default_rng(0)
    for _ in range(6):
        new = {
            "weight": generator.normal(size=(2, 3)),
            "bias": generator.normal(size=2),
        }
        model.load_state_dict({k: torch.tensor(array) for k, array in new.items()})
        theirs.update_parameters(model)
        ours = optimizers.update_parameters(ours, new, average)
        for name, tensor in theirs.module.state_dict().items():
            np.testing.assert_allclose(ours.module[name], tensor.numpy(), rtol=1e-13)
        assert ours.n_averaged == theirs.n_averaged.item()
