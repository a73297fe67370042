"""The optimizers and clipping, compared live with torch."""

import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import optimizers
from jaxgrad.descent import SURFACES, descend
from tests.optimizer_cases import (
    CASES,
    FLOAT32_SIZE,
    TORCH_NAMES,
    Case,
    distance,
    follow,
    for_float32,
)
from tests.test_optimizer_complex import GRADIENTS, REAL_ONLY, START

pytestmark = pytest.mark.parity

FOR_EXECUTION_ONLY = {"foreach", "capturable", "differentiable", "fused"}
SIGNATURES = {
    name: inspect.signature(getattr(optimizers, name)).parameters
    for name in TORCH_NAMES
}
DEFAULTS = {
    name: {parameter.name: parameter.default for parameter in parameters.values()}
    for name, parameters in SIGNATURES.items()
}


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_names_order_and_defaults_are_torchs(name):
    import torch

    parameters = inspect.signature(getattr(torch.optim, TORCH_NAMES[name])).parameters
    theirs = [
        p for p in parameters.values() if p.name not in {"params", *FOR_EXECUTION_ONLY}
    ]
    assert {p.name: p.default for p in theirs} == DEFAULTS[name]
    positional = [p.name for p in theirs if p.name != "maximize"]
    assert positional == [p for p in DEFAULTS[name] if p != "maximize"]


def database_cases():
    """Every configuration of torch's own database, with tensors as numbers."""
    import torch
    from torch.testing._internal import common_optimizers

    names = {theirs: ours for ours, theirs in TORCH_NAMES.items()}
    database: Any = common_optimizers.optim_db
    for info in database:
        if info.optim_cls.__name__ in names:
            name = names[info.optim_cls.__name__]
            for config in info.optim_inputs_func("cpu", dtype=torch.float64):
                options = {
                    key: value.item() if isinstance(value, torch.Tensor) else value
                    for key, value in config.kwargs.items()
                }
                yield Case(name, {"lr": DEFAULTS[name]["lr"]} | options)


def farthest(path, truth):
    """The largest difference, in units of the largest entry of each leaf."""
    return max(
        np.max(np.abs(path[name] - truth[name])) / np.max(np.abs(truth[name]))
        for name in truth
    )


def test_every_configuration_of_torchs_database(x64, tally):
    from tests.torch_optimizers import follow_torch

    cases = list(database_cases())
    for case in cases:
        ours = follow(case, "float64", scheduled=(False,))[False]
        bound = 1e-2 if case.optimizer == "muon" else 1e-6
        with tally("configurations of torch's optimizers, 60 steps in float64"):
            apart = farthest(ours, follow_torch(case, "float64"))
            assert apart <= bound, f"{case}: {apart:.1e}"
    assert len(cases) > 70


@pytest.mark.parametrize("case", CASES, ids=str)
def test_paths_live(case):
    """float64 within 1e-9; the float32 error at most twice torch's."""
    from tests.torch_optimizers import follow_torch

    is_muon = case.optimizer == "muon"
    with jax.enable_x64(True):
        double = follow(case, "float64")
    case32 = for_float32(case)
    single = follow(case32, "float32", FLOAT32_SIZE)
    for scheduled in (False, True):
        theirs = follow_torch(case, "float64", scheduled)
        assert distance(double[scheduled], theirs) <= (1e-2 if is_muon else 1e-9)
        truth, theirs = (
            follow_torch(case32, dtype, scheduled, FLOAT32_SIZE)
            for dtype in ("float64", "float32")
        )
        error, torchs = distance(single[scheduled], truth), distance(theirs, truth)
        assert error <= (1e-2 if is_muon else 2 * torchs)


SEED = {
    "sgd": 0.1,
    "adagrad": 1.0,
    "rmsprop": 1.0,
    "adadelta": 1.0,
    "adam": 1.0,
    "adamw": 1.0,
}


@pytest.mark.parametrize("name", SEED)
def test_the_notebooks_path_at_each_of_5000_steps(name, x64):
    """An absolute bound: late values are subnormal, and XLA flushes them to zero."""
    import torch

    point = torch.tensor([-75.0, -10.0], dtype=torch.float64)
    optimizer = getattr(torch.optim, TORCH_NAMES[name])([point], lr=SEED[name])
    theirs = []
    for _ in range(5000):
        point.grad = 2 * point
        optimizer.step()
        theirs.append(point.numpy().copy())
    ours = descend(
        getattr(optimizers, name)(lr=SEED[name]),
        SURFACES["sphere"].function,
        jnp.array([-75.0, -10.0]),
        5000,
    )
    np.testing.assert_allclose(ours.points, np.stack(theirs), rtol=0, atol=1e-9)


BAD_NUMBERS = (-1.0, -1e-12, -0.0, 0.0, 0.5, 1.0, 2.0, math.nan, math.inf, -math.inf)
VALID = {
    "sgd": {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.1},
    "adagrad": {
        "lr": 0.1,
        "lr_decay": 0.1,
        "weight_decay": 0.1,
        "initial_accumulator_value": 0.1,
        "eps": 1e-8,
    },
    "rmsprop": {
        "lr": 0.1,
        "alpha": 0.9,
        "eps": 1e-8,
        "weight_decay": 0.1,
        "momentum": 0.9,
    },
    "adadelta": {"lr": 0.1, "rho": 0.9, "eps": 1e-8, "weight_decay": 0.1},
    "adam": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    "adamw": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    "adamax": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    "nadam": {
        "lr": 0.1,
        "betas": (0.9, 0.99),
        "eps": 1e-8,
        "weight_decay": 0.1,
        "momentum_decay": 0.1,
    },
    "radam": {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    "asgd": {
        "lr": 0.1,
        "lambd": 0.1,
        "alpha": 0.75,
        "t0": 10.0,
        "weight_decay": 0.1,
    },
    "rprop": {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)},
    "adafactor": {
        "lr": 0.1,
        "beta2_decay": -0.8,
        "eps": (1e-8, 1e-3),
        "d": 1.0,
        "weight_decay": 0.1,
    },
    "muon": {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.9},
}


def spoiled(name):
    """The valid options, each number in turn replaced by each of the bad ones."""
    for key, value in VALID[name].items():
        for bad in BAD_NUMBERS:
            if isinstance(value, tuple):
                for i in range(len(value)):
                    pair = (*value[:i], bad, *value[i + 1 :])
                    yield VALID[name] | {key: pair}
            else:
                yield VALID[name] | {key: bad}
                if name == "sgd":
                    yield VALID[name] | {key: bad, "nesterov": True}


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_exactly_the_options_that_torch_refuses_are_refused(name):
    import torch

    def accepted(make):
        try:
            make()
        except ValueError:
            return False
        return True

    theirs = getattr(torch.optim, TORCH_NAMES[name])
    for options in spoiled(name):
        assert accepted(lambda o=options: getattr(optimizers, name)(**o)) == accepted(
            lambda o=options: theirs([torch.zeros(2, 2)], **o)
        ), options


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.optimizer not in REAL_ONLY], ids=str
)
def test_complex_parameters_live(case, dtype, x64):
    import torch

    from tests.torch_optimizers import default_dtype

    optimizer = getattr(optimizers, case.optimizer)(**case.options)
    ours = jnp.asarray(START, dtype)
    state, update = optimizer.init(ours), jax.jit(optimizer.update)
    with default_dtype(torch.float64 if dtype == "complex128" else torch.float32):
        point = torch.tensor(START, dtype=getattr(torch, dtype))
        theirs = getattr(torch.optim, TORCH_NAMES[case.optimizer])(
            [point], **case.options
        )
        for gradient in GRADIENTS:
            point.grad = torch.tensor(gradient, dtype=point.dtype)
            theirs.step()
            updates, state = update(jnp.asarray(gradient, dtype), state, ours)
            ours = ours + updates
            atol = 1e-5 if dtype == "complex64" else 1e-12
            np.testing.assert_allclose(ours, point.numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("name", REAL_ONLY)
def test_torch_refuses_complex_parameters_too(name):
    import torch

    point = torch.ones(2, 2, dtype=torch.complex64)
    point.grad = point.clone()
    with pytest.raises(RuntimeError, match="does not support complex"):
        getattr(torch.optim, TORCH_NAMES[name])([point]).step()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rprop_at_small_gradients_live(dtype, x64):
    """Sizes from huge down to those whose product, or which themselves, underflow."""
    import torch

    least = math.log10(float(np.finfo(dtype).smallest_subnormal))
    sizes = 10.0 ** np.linspace(least / 2 - 3, 3, 40)
    signs = np.random.default_rng(0).choice([-1, 1], (12, sizes.size))
    point = torch.ones(sizes.size, dtype=getattr(torch, dtype))
    theirs, ours = torch.optim.Rprop([point], 0.1), jnp.ones(sizes.size, dtype)
    optimizer = optimizers.rprop(0.1)
    state, update = optimizer.init(ours), jax.jit(optimizer.update)
    for sign in signs:
        point.grad = torch.tensor(sign * sizes, dtype=point.dtype)
        theirs.step()
        updates, state = update(jnp.asarray(sign * sizes, dtype), state)
        ours = ours + updates
        np.testing.assert_allclose(ours, point.numpy(), rtol=1e-6)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0, 0.5, 0.0, -1.0])
@pytest.mark.parametrize("what", ["ordinary", "zero", "nan", "inf"])
def test_clipping_live(norm_type, what, x64):
    import torch

    generator = np.random.default_rng(0)
    gradients = [generator.standard_normal(shape) for shape in ((3, 2), (4,), ())]
    if what == "zero":
        gradients = [0.0 * g for g in gradients]
    elif what != "ordinary":
        gradients[0][1, 1] = float(what)
    for max_norm in (0.0, 1.0, 100.0):
        params = [torch.zeros(g.shape, dtype=torch.float64) for g in gradients]
        for param, g in zip(params, gradients, strict=True):
            param.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type)
        clip: Any = optimizers.clip_grad_norm(max_norm, norm_type)
        ours, _ = clip.update(jax.tree.map(jnp.asarray, gradients), clip.init(None))
        total = optimizers.get_total_norm(gradients, norm_type)
        np.testing.assert_allclose(total, norm.item(), rtol=1e-12)
        for param, g in zip(params, ours, strict=True):
            theirs: Any = param.grad
            np.testing.assert_allclose(g, theirs.numpy(), rtol=1e-12)


LRS = (0.0, 1e-8, 1e-3, 0.1, 10.0)
BETAS = (0.0, 0.5, 0.9, 0.999, 0.9999)
EPS = (0.0, 1e-10, 1e-3, 1.0)
DECAYS = (0.0, 0.01, 1.0)
ADAM = {"lr": LRS, "betas": (BETAS, BETAS[1:]), "eps": EPS, "weight_decay": DECAYS}
# What to draw the hyperparameters from. Where a running mean forgets at once
# (beta2 = 0) or a variance is that of a constant, both only amplify their rounding.
SPACES = {
    "sgd": {
        "lr": LRS,
        "momentum": (0.0, 0.9, 1.0),
        "dampening": (0.0, 0.5, -0.5),
        "weight_decay": DECAYS,
    },
    "adagrad": {"lr": LRS, "lr_decay": (0.0, 10.0), "weight_decay": DECAYS, "eps": EPS},
    "rmsprop": {
        "lr": LRS,
        "alpha": (0.5, 0.99),
        "eps": EPS,
        "weight_decay": DECAYS,
        "momentum": (0.0, 0.9),
    },
    "adadelta": {"lr": LRS, "rho": (0.0, 0.9, 1.0), "eps": EPS, "weight_decay": DECAYS},
    "adam": ADAM,
    "adamw": ADAM,
    "adamax": ADAM | {"betas": (BETAS, BETAS[2:])},
    "nadam": ADAM | {"momentum_decay": (0.0, 4e-3, 10.0)},
    "radam": ADAM | {"betas": (BETAS, (0.5, 0.65, 0.7, 0.99, 0.9999))},
    "asgd": {
        "lr": LRS,
        "lambd": (0.0, 0.1),
        "alpha": (0.0, 0.75, 2.0),
        "t0": (0.0, 5.0, 1e6),
        "weight_decay": DECAYS,
    },
    "rprop": {
        "lr": LRS,
        "etas": ((0.1, 0.5), (1.1, 2.0)),
        "step_sizes": ((1e-6, 1e-3), (0.1, 50.0)),
    },
    "adafactor": {
        "lr": LRS,
        "beta2_decay": (-0.8, -0.1, 0.0),
        "eps": ((1e-10, 1.0), (0.0, 0.1)),
        "d": (1.0, 10.0),
        "weight_decay": DECAYS,
    },
}
DRAWS, LENGTH = 25, 30


def drawn(generator, choices):
    if isinstance(choices[0], tuple):
        return tuple(drawn(generator, part) for part in choices)
    return float(generator.choice(choices))


def awkward_gradients(generator):
    """A column each: ordinary, zero, tiny, huge, of one sign, ending, beginning."""
    gradients = generator.standard_normal((LENGTH, 7))
    gradients[:, 1] = 0.0
    gradients[:, 2] *= 1e-12
    gradients[:, 3] *= 1e6
    gradients[:, 4] = np.abs(gradients[:, 4])
    gradients[LENGTH // 2 :, 5] = 0.0
    gradients[: LENGTH // 2, 6] = 0.0
    return gradients


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_random_hyperparameters_and_awkward_gradients(name, maximize, x64):
    """The hyperparameters are traced, so that one compilation serves all of them; what
    is not finite in torch is not finite in jaxgrad."""
    import torch

    generator = np.random.default_rng(0)
    options = [
        {key: drawn(generator, of) for key, of in SPACES[name].items()}
        for _ in range(DRAWS)
    ]
    starts = generator.standard_normal((DRAWS, 7))
    gradients = np.stack([awkward_gradients(generator) for _ in range(DRAWS)])

    def ours(start, gradients, options):
        optimizer = getattr(optimizers, name)(**options, maximize=maximize)

        def step(carry, gradient):
            point, state = carry
            updates, state = optimizer.update(gradient, state, point)
            return (point + updates, state), point + updates

        return jax.lax.scan(step, (start, optimizer.init(start)), gradients)[1]

    def theirs(start, gradients, options):
        point = torch.tensor(start)
        optimizer = getattr(torch.optim, TORCH_NAMES[name])(
            [point], **options, maximize=maximize
        )
        path = []
        for gradient in gradients:
            point.grad = torch.tensor(gradient)
            optimizer.step()
            path.append(point.numpy().copy())
        return np.stack(path)

    from tests.torch_optimizers import default_dtype

    stacked = jax.tree.map(lambda *values: jnp.asarray(values), *options)
    paths = jax.jit(jax.vmap(ours))(
        jnp.asarray(starts), jnp.asarray(gradients), stacked
    )
    with default_dtype(torch.float64):
        for path, *of_draw in zip(paths, starts, gradients, options, strict=True):
            expected = theirs(*of_draw)
            path, expected = (
                np.where(np.isfinite(x), x, np.nan) for x in (path, expected)
            )
            np.testing.assert_allclose(
                path, expected, rtol=1e-8, atol=1e-9, err_msg=str(of_draw[-1])
            )
