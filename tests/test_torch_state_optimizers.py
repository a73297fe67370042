"""The state of torch's optimizers, taken over and given back.

torch runs 30 steps, jaxgrad the next 30 from torch's state, and a new torch optimizer
30 more from jaxgrad's. At 60 and 90 both are where one torch optimizer is.
"""

import jax
import numpy as np
import pytest

from jaxgrad import torch_state
from tests.optimizer_cases import STEPS, TORCH_NAMES, gradient, make, problem
from tests.test_optimizers_parity import database_cases, farthest

pytestmark = pytest.mark.parity

TAKEOVER = 30


class Run:
    """The problem of a case with a torch optimizer."""

    def __init__(self, case, start=None):
        import torch

        self.case, of = case, problem(case.optimizer)
        start, *rest = (start or of.start, *of[1:])
        self.params = {
            n: torch.tensor(x, dtype=torch.float64) for n, x in start.items()
        }
        self.rest = [{n: torch.tensor(x) for n, x in tree.items()} for tree in rest]
        kind = getattr(torch.optim, TORCH_NAMES[case.optimizer])
        self.optimizer = kind(self.params.items(), **case.options)

    def advance(self, begin, end):
        target, noise, scale = self.rest
        for step in range(begin, end):
            for n, p in self.params.items():
                p.grad = gradient(p, target[n], noise[n][step % STEPS], scale[n])
            self.optimizer.step()

    def values(self):
        return {name: p.numpy().copy() for name, p in self.params.items()}


def advance(case, params, state, begin, end):
    """The same steps by jaxgrad."""
    _, target, noise, scale = problem(case.optimizer)
    optimizer = make(case, scheduled=False)
    quickly_compiled = {"xla_backend_optimization_level": 0}
    update = jax.jit(optimizer.update, compiler_options=quickly_compiled)
    for step in range(begin, end):
        gradients = {
            n: gradient(p, target[n], noise[n][step % STEPS], scale[n])
            for n, p in params.items()
        }
        updates, state = update(gradients, state, params)
        params = {n: np.asarray(p + updates[n]) for n, p in params.items()}
    return params, state


def as_is(params):
    return torch_state.layout(params, params, rules={"*": torch_state.rules.unchanged})


def equal(one, other):
    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), one, other))


def follow(case):
    """The largest distances at 60 and 90 steps."""
    torchs = Run(case)
    torchs.advance(0, TAKEOVER)
    theirs, params = torchs.optimizer.state_dict(), torchs.values()
    layout, empty = as_is(params), make(case, scheduled=False).init(params)
    state = torch_state.optimizer_from_torch(theirs, empty, layout, steps=TAKEOVER)
    back = torch_state.optimizer_to_torch(state, theirs, layout)
    assert equal(back["state"], theirs["state"])

    ours, state = advance(case, params, state, TAKEOVER, 2 * TAKEOVER)
    torchs.advance(TAKEOVER, 2 * TAKEOVER)
    first = farthest(ours, torchs.values())

    given = Run(case, ours)
    like = given.optimizer.state_dict()
    given.optimizer.load_state_dict(
        torch_state.optimizer_to_torch(state, like, layout, steps=2 * TAKEOVER)
    )
    given.advance(2 * TAKEOVER, 3 * TAKEOVER)
    torchs.advance(2 * TAKEOVER, 3 * TAKEOVER)
    return first, farthest(given.values(), torchs.values())


@pytest.fixture
def one_thread():
    """Torch's threads wait for each other longer than they compute."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_every_configuration_taken_over_and_given_back(x64, tally, one_thread):
    import torch

    from tests.torch_optimizers import default_dtype

    cases = list(database_cases())
    with default_dtype(torch.float64):
        for case in cases:
            with tally("states of torch's optimizers taken over at step 30"):
                apart = follow(case)
                assert max(apart) <= 1e-12, f"{case}: {apart}"
    assert len(cases) > 70
