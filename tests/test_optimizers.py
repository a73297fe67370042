"""The optimizers: torch's golden trajectories, and Optax's conventions."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import optimizers
from tests.optimizer_cases import (
    CASES,
    CYCLED,
    FLOAT32_SIZE,
    TORCH_NAMES,
    Case,
    distance,
    follow,
    follow_optimizers,
    for_float32,
    make_cycled,
    problem,
)

GOLDEN_FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((GOLDEN_FOLDER / "optimizers.json").read_text(encoding="utf-8"))
ENTRIES = {(entry["case"], entry["scheduled"]): entry for entry in GOLDEN["entries"]}
REGENERATE = "run `python -m tests.golden.generate_optimizers` if the cases changed"
NAMES = tuple(TORCH_NAMES)
FACTORIES = {name: getattr(optimizers, name) for name in NAMES}
DEFAULTS = [case for case in CASES if set(case.options) == {"lr"}]


def test_the_golden_file_has_the_same_cases():
    assert {case for case, _ in ENTRIES} == set(map(str, CASES)), REGENERATE
    assert set(NAMES) == {case.optimizer for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_path_equals_torchs_in_float64(case, x64):
    paths = follow(case, "float64")
    for scheduled, path in paths.items():
        golden = ENTRIES[str(case), scheduled]["path"]
        for name, values in golden.items():
            at_checkpoints = path[name][np.array(GOLDEN["checkpoints"]) - 1]
            values = np.reshape(values, at_checkpoints.shape)
            # torch runs muon's iteration in bfloat16
            coarse = 1e-2 * np.max(np.abs(values)) if case.optimizer == "muon" else 0.0
            np.testing.assert_allclose(
                at_checkpoints,
                values,
                rtol=0,
                atol=max(coarse, 1e-9),
                err_msg=REGENERATE,
            )


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_the_float32_error_is_at_most_twice_torchs(case):
    case = for_float32(case)
    single = follow(case, "float32", FLOAT32_SIZE)
    with jax.enable_x64(True):
        truth = follow(case, "float64", FLOAT32_SIZE)
    for scheduled in (False, True):
        error = distance(single[scheduled], truth[scheduled])
        torchs = _golden_float32_error(case, scheduled)
        assert error <= (1e-2 if case.optimizer == "muon" else 2 * torchs)


def _golden_float32_error(case: Case, scheduled: bool) -> float:
    for original in CASES:
        if for_float32(original) == case:
            return ENTRIES[str(original), scheduled]["float32_error"]
    raise AssertionError(f"unknown case: {case}")


@pytest.mark.parametrize("case", CYCLED, ids=str)
def test_the_path_under_a_cycled_momentum_equals_torchs(case, x64):
    golden = json.loads((GOLDEN_FOLDER / "cycled.json").read_text(encoding="utf-8"))
    expected = {entry["case"]: entry["path"] for entry in golden["entries"]}[str(case)]
    path = follow_optimizers(
        {"cycled": make_cycled(case)}, problem(case.optimizer), "float64"
    )["cycled"]
    for name, values in expected.items():
        at_checkpoints = path[name][np.array(golden["checkpoints"]) - 1]
        np.testing.assert_allclose(
            at_checkpoints,
            np.reshape(values, at_checkpoints.shape),
            rtol=0,
            atol=1e-9,
            err_msg=REGENERATE,
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rprops_product_of_gradients_is_as_small_as_in_ieee_arithmetic(dtype, x64):
    """The step grows while the product is at least a subnormal number."""
    smallest = float(np.finfo(dtype).smallest_subnormal)
    optimizer = optimizers.rprop(lr=0.25, etas=(0.5, 2.0))
    update = jax.jit(optimizer.update)
    for product, sizes in (
        (4 * smallest, [0.25, 0.5, 0.25]),
        (smallest / 4, [0.25] * 3),
    ):
        gradient = jnp.full(1, np.sqrt(product), dtype)
        state, seen = optimizer.init(gradient), []
        for sign in (1, 1, -1):
            _, state = update(sign * gradient, state)
            seen.append(optax.tree.get(state, "step_size").item())
        assert seen == sizes


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_rprop_sees_subnormal_gradients(dtype, maximize, x64):
    """As the gradient itself and as the one before, with either sign."""
    tiny = float(np.finfo(dtype).tiny) / 1000
    gradients = np.array(
        [[tiny, 1.0, -tiny, 1.0], [1.0, -tiny, 1.0, tiny], [tiny, tiny, -tiny, -tiny]]
    )
    optimizer = optimizers.rprop(lr=0.25, etas=(0.5, 2.0), maximize=maximize)
    state, update = optimizer.init(jnp.zeros(4, dtype)), jax.jit(optimizer.update)
    moves = []
    for gradient in gradients:
        updates, state = update(jnp.asarray(gradient.astype(dtype)), state)
        moves.append(np.real(updates))
    expected = [[0.25, 0.25, -0.25, 0.25], [0.5, 0, 0, 0.5], [1, 0.125, -0.125, -0.5]]
    sign = 1 if maximize else -1
    np.testing.assert_array_equal(moves, sign * np.array(expected))


def params_for(name, dtype=jnp.float32):
    """A pytree with every shape that the optimizer accepts, and with a None."""
    tree = {"w": jnp.array([[1.0, -2.0], [3.0, 0.5]], dtype), "none": None}
    if name != "muon":
        tree |= {"b": jnp.array([0.1, -0.2], dtype), "s": jnp.asarray(2.0, dtype)}
        tree |= {"empty": jnp.zeros((0, 3), dtype)}
    return tree


def gradients_like(params):
    return jax.tree.map(lambda p: 0.5 * p + 0.25, params)


def steps(optimizer, params, count=3) -> Any:
    """The parameters after some updates, not compiled."""
    state = optimizer.init(params)
    for _ in range(count):
        updates, state = optimizer.update(gradients_like(params), state, params)
        params = optax.apply_updates(params, updates)
    return params


def assert_trees_close(actual, expected, rtol=1e-5):
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(e, np.float64), rtol=rtol, atol=1e-6
        ),
        actual,
        expected,
    )


@pytest.mark.parametrize("name", NAMES)
def test_second_update_does_not_compile_again(name):
    optimizer = FACTORIES[name](lr=lambda step: 0.1)
    params = params_for(name)
    if name != "muon":
        params["number"] = 1.0  # weakly typed
    state = optimizer.init(params)
    traces = []

    @jax.jit
    def update(params, state):
        traces.append(None)
        updates, state = optimizer.update(gradients_like(params), state, params)
        return updates, state

    for _ in range(3):
        _, state = update(params, state)
    assert len(traces) == 1


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("name", NAMES)
def test_dtype_is_kept_and_half_precision_is_computed_in_float32(name, dtype):
    optimizer = FACTORIES[name](lr=0.1)
    params = params_for(name, dtype)
    state = optimizer.init(params)
    updates, state = optimizer.update(gradients_like(params), state, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}
    floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.inexact)]
    assert {x.dtype for x in floats if x.ndim} <= {jnp.dtype(dtype)}
    wide = jax.tree.map(
        lambda p: p.astype(jnp.float32), (gradients_like(params), params)
    )
    expected, _ = optimizer.update(wide[0], optimizer.init(wide[1]), wide[1])
    eps = float(jnp.finfo(dtype).eps)
    if name != "adafactor":  # whose default eps is the dtype's
        assert_trees_close(updates, expected, rtol=2 * eps + 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_kept(name, x64):
    optimizer = FACTORIES[name](lr=0.1)
    params = params_for(name, jnp.float64)
    after = steps(optimizer, params, 1)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {jnp.dtype("float64")}


@pytest.mark.parametrize("name", NAMES)
def test_chains_partitions_and_injects(name):
    factory = FACTORIES[name]
    params = params_for(name)
    expected = steps(factory(lr=0.1), params)
    chained = optax.chain(optimizers.clip_grad_norm(1e9), factory(lr=0.1))
    assert_trees_close(steps(chained, params), expected)

    labels = jax.tree.map(lambda p: "moved" if p.ndim == 2 else "frozen", params)
    split = optax.multi_transform(
        {"moved": factory(lr=0.1), "frozen": optax.set_to_zero()}, labels
    )
    moved = steps(split, params)
    assert_trees_close(moved["w"], expected["w"])
    if name != "muon":
        assert_trees_close(moved["b"], params["b"])


@pytest.mark.parametrize("name", NAMES)
def test_injected_learning_rate_can_be_set(name):
    params = params_for(name)
    injected = optax.inject_hyperparams(FACTORIES[name])(lr=0.1)
    assert_trees_close(steps(injected, params), steps(FACTORIES[name](lr=0.1), params))
    if name in ("rprop", "asgd"):  # torch reads these rates at the start
        return
    state: Any = injected.init(params)
    state.hyperparams["lr"] = jnp.asarray(0.05)
    update = jax.jit(injected.update)
    updates, state = update(gradients_like(params), state, params)
    half = FACTORIES[name](lr=0.05)
    expected, _ = half.update(gradients_like(params), half.init(params), params)
    assert_trees_close(updates, expected)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", NAMES)
def test_injects_into_half_precision(name, dtype):
    params = params_for(name, dtype)
    options = {"t0": 100.0} if name == "asgd" else {}  # 1e6 is infinite in float16
    injected = optax.inject_hyperparams(FACTORIES[name])(lr=0.125, **options)
    after = steps(injected, params, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("name", NAMES)
def test_vmap_over_learning_rates_equals_a_loop(name):
    params = {"w": params_for(name)["w"]}

    def after(lr):
        return steps(FACTORIES[name](lr=lr), params, 2)["w"]

    lrs = jnp.array([0.0, 0.01, 0.1])
    one_by_one = jnp.stack([after(float(lr)) for lr in lrs])
    assert_trees_close(jax.jit(jax.vmap(after))(lrs), one_by_one)


@pytest.mark.parametrize("name", ["asgd", "adafactor"])
@pytest.mark.message
def test_an_update_that_needs_parameters_asks_for_them(name):
    optimizer = FACTORIES[name]()
    with pytest.raises(
        ValueError, match=rf"^{name}: expected update\(updates, state, "
    ):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))


@pytest.mark.parametrize(
    "name", sorted(set(NAMES) - {"asgd", "adafactor", "muon", "adamw"})
)
def test_update_without_weight_decay_needs_no_parameters(name):
    optimizer = FACTORIES[name](lr=0.1)
    params = params_for(name)
    updates, _ = optimizer.update(gradients_like(params), optimizer.init(params))
    assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_muon_refuses_vectors():
    with pytest.raises(ValueError, match=r"^muon: expected matrices only, got shape"):
        optimizers.muon().init({"bias": jnp.ones(3)})


def test_rprop_does_not_move_at_a_nan_gradient():
    optimizer = optimizers.rprop(lr=1.0)
    params = jnp.array([3.0, 4.0])
    updates, _ = optimizer.update(jnp.array([jnp.nan, 2.0]), optimizer.init(params))
    np.testing.assert_array_equal(np.asarray(updates), [0.0, -1.0])


def test_adafactor_confines_an_infinite_gradient():
    optimizer = optimizers.adafactor(lr=0.5)
    params = jnp.array([3.0, 4.0])
    state = optimizer.init(params)
    updates: Any = optimizer.update(jnp.array([jnp.inf, 2.0]), state, params)[0]
    assert jnp.isnan(updates[0])
    np.testing.assert_allclose(updates[1], -0.5 * np.sqrt((9 + 16) / 2), rtol=1e-6)


def test_asgd_state_holds_the_average():
    optimizer = optimizers.asgd(lr=0.25, lambd=0.0, alpha=0.0, t0=0.0)
    params: Any = jnp.asarray(8.0)
    state = optimizer.init(params)
    seen = []
    for _ in range(3):
        updates, state = optimizer.update(2 * params, state, params)
        params = params + updates
        seen.append(float(params))
    # halved every step; the average starts with the second step, as in torch
    assert seen == [4.0, 2.0, 1.0]
    assert float(optax.tree.get(state, "ax")) == (2.0 + 1.0) / 2


NO_NUMBERS = [
    ("sgd", {"lr": "0.1"}, "lr to be a number, got str"),
    ("adam", {"lr": [0.1]}, "lr to be a number, got list"),
    ("asgd", {"weight_decay": None}, "weight_decay to be a number, got NoneType"),
    ("adamax", {"betas": ("a", 0.9)}, r"betas\[0\] to be a number, got str"),
    ("adamw", {"betas": 0.9}, "betas to be a pair, got 0.9"),
    ("nadam", {"betas": 0.9}, "betas to be a pair, got 0.9"),
    ("radam", {"betas": (0.9,)}, r"betas to be a pair, got \(0.9,\)"),
    ("rprop", {"step_sizes": 1.0}, "step_sizes to be a pair, got 1.0"),
    ("adafactor", {"eps": 1e-30}, "eps to be a pair, got 1e-30"),
]


@pytest.mark.message
@pytest.mark.parametrize(("name", "options", "message"), NO_NUMBERS)
def test_an_option_that_is_no_number_is_named(name, options, message):
    with pytest.raises(TypeError, match=f"{name}: expected {message}"):
        getattr(optimizers, name)(**options)


BAD = [
    ("sgd", {"lr": -1.0}, "lr >= 0"),
    ("sgd", {"momentum": -0.1}, "momentum >= 0"),
    ("sgd", {"weight_decay": -0.1}, "weight_decay >= 0"),
    ("sgd", {"nesterov": True}, "momentum > 0 and dampening = 0"),
    ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "momentum > 0 and"),
    ("adagrad", {"lr": float("nan")}, "lr >= 0"),
    ("adagrad", {"lr_decay": -0.5}, "lr_decay >= 0"),
    ("adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value >= 0"),
    ("rmsprop", {"momentum": -1.0}, "momentum >= 0"),
    ("rmsprop", {"alpha": -1.0}, "alpha >= 0"),
    ("adadelta", {"rho": 1.1}, r"rho in \[0.0, 1.0\]"),
    ("adam", {"betas": (1.0, 0.999)}, r"betas\[0\] in \[0, 1\)"),
    ("adam", {"betas": (0.9, -0.1)}, r"betas\[1\] in \[0, 1\)"),
    ("adam", {"betas": (0, 0.999)}, "betas to be two floats or two arrays"),
    ("adam", {"lr": np.array([0.1, 0.2])}, "lr to be a single number"),
    ("adamw", {"eps": -1.0}, "eps >= 0"),
    ("adamax", {"weight_decay": -1.0}, "weight_decay >= 0"),
    ("nadam", {"momentum_decay": -0.2}, "momentum_decay >= 0"),
    ("radam", {"betas": (0.9, 1.0)}, r"betas\[1\] in \[0, 1\)"),
    ("asgd", {"weight_decay": -0.5}, "weight_decay >= 0"),
    ("rprop", {"etas": (1.0, 0.5)}, r"etas with 0 < etas\[0\] < 1 < etas\[1\]"),
    ("adafactor", {"beta2_decay": 0.8}, "beta2_decay <= 0"),
    ("adafactor", {"eps": (-1e-30, 1e-3)}, "eps1 >= 0"),
    ("adafactor", {"eps": (None, -1e-3)}, "eps2 >= 0"),
    ("adafactor", {"d": 0.0}, "d >= 1"),
    ("muon", {"momentum": -0.1}, "momentum >= 0"),
    ("muon", {"ns_steps": 100}, "ns_steps < 100"),
    ("muon", {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients to be three numbers"),
    ("muon", {"adjust_lr_fn": "arbitrary"}, "adjust_lr_fn to be one of"),
]


@pytest.mark.message
@pytest.mark.parametrize(("name", "options", "message"), BAD)
def test_options_that_torch_refuses_are_refused(name, options, message):
    with pytest.raises(
        ValueError, match=f"^{name}: expected {message}.* got .* instead"
    ):
        FACTORIES[name](**options)


def test_python_does_not_branch_on_traced_hyperparameters():
    """With a traced momentum of 0, dampening is ignored, as in torch."""

    def update(momentum, dampening):
        optimizer = optimizers.sgd(1.0, momentum, dampening)
        return steps(optimizer, jnp.asarray(1.0), 3)

    expected = steps(optimizers.sgd(1.0, 0.0, 0.5), jnp.asarray(1.0), 3)
    assert_trees_close(jax.jit(update)(0.0, 0.5), expected)
