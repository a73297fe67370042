"""Calls at the edge of what PyTorch accepts: which it accepts, and what it returns.

Dtypes of targets and weights, masks together with `is_causal`, infinite weights, and
inputs below the smallest normal number.
"""

import functools
import inspect
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import activations, losses
from tests.composed import attention_in_jaxgrad, attention_in_torch
from tests.tolerances import assert_close

pytestmark = pytest.mark.parity

X = np.array([[0.5, 0.25], [0.75, 0.125]])
COUNTS = np.array([[0, 1], [1, 0]])
# Function, the argument that gets COUNTS in another dtype, the other arguments.
TAKERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("l1_loss", "target", {}),
    ("l1_loss", "weight", {"target": X}),
    ("mse_loss", "target", {}),
    ("mse_loss", "target", {"weight": X}),
    ("mse_loss", "weight", {"target": X}),
    ("smooth_l1_loss", "target", {}),
    ("smooth_l1_loss", "target", {"beta": 0.0}),
    ("huber_loss", "weight", {"target": X}),
    ("kl_div", "target", {"reduction": "sum"}),
    ("poisson_nll_loss", "target", {}),
    ("poisson_nll_loss", "target", {"log_input": False}),
    ("poisson_nll_loss", "target", {"full": True}),
    ("gaussian_nll_loss", "target", {"var": X}),
    ("gaussian_nll_loss", "var", {"target": X}),
    ("binary_cross_entropy", "target", {}),
    ("binary_cross_entropy", "weight", {"target": X}),
    ("binary_cross_entropy_with_logits", "target", {}),
    ("binary_cross_entropy_with_logits", "weight", {"target": X}),
    ("binary_cross_entropy_with_logits", "pos_weight", {"target": X}),
    ("soft_margin_loss", "target", {}),
    ("multilabel_soft_margin_loss", "target", {}),
    ("multilabel_soft_margin_loss", "weight", {"target": X}),
    ("hinge_embedding_loss", "target", {}),
    ("margin_ranking_loss", "target", {"input2": X}),
    ("cosine_embedding_loss", "target", {"input2": X}),
)


# Not uint8, whose negative PyTorch takes modulo 256.
@pytest.mark.parametrize("dtype", ["int64", "int8", "bool"])
@pytest.mark.parametrize("call", TAKERS, ids=str)
def test_dtypes_of_targets_and_weights(call, dtype):
    """Value, gradient and dtype are PyTorch's, and so is every refusal."""
    import torch

    name, argument, others = call
    counts = COUNTS[0] if name == "cosine_embedding_loss" else COUNTS
    given = others | {argument: counts.astype(dtype)}
    first = next(iter(inspect.signature(getattr(losses, name)).parameters))

    def ours(x):
        return getattr(losses, name)(x, **given)

    x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    tensors = {
        key: torch.tensor(array.astype(np.float32) if array is X else array)
        if isinstance(array, np.ndarray)
        else array
        for key, array in given.items()
    }
    try:
        theirs = getattr(torch.nn.functional, name)(**{first: x}, **tensors)
        theirs.backward()
    except RuntimeError:
        with pytest.raises(TypeError):
            ours(jnp.asarray(X, jnp.float32))
        return
    value, gradient = jax.value_and_grad(ours)(jnp.asarray(X, jnp.float32))
    assert str(theirs.dtype) == f"torch.{value.dtype}"
    assert_close(value, theirs.item(), "float32")
    assert_close(gradient, x.grad, "float32")


SEEN = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]], bool)
MASKS = {"boolean": SEEN, "additive": np.where(SEEN, 0.5, -np.inf)}


@pytest.mark.parametrize("mask", MASKS)
def test_attention_with_a_mask_and_is_causal(mask, x64):
    """By PyTorch's default kernel on the CPU."""
    import torch

    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=(1, 2, n, 5)) for n in (3, 4, 4)]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    attend: Any = torch.nn.functional.scaled_dot_product_attention
    theirs = attend(*tensors, torch.tensor(MASKS[mask]), is_causal=True)
    weights = np.arange(30.0).reshape(1, 2, 3, 5)
    theirs.backward(torch.tensor(weights))

    def ours(q, k, v):
        return activations.scaled_dot_product_attention(
            q, k, v, MASKS[mask], is_causal=True
        )

    value, pull_back = jax.vjp(ours, *map(jnp.asarray, arrays))
    assert_close(value, theirs.detach())
    for gradient, tensor in zip(pull_back(weights), tensors, strict=True):
        assert_close(gradient, tensor.grad)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("more", ["nothing", "a zero key"])
@pytest.mark.parametrize("mask", ["causal", "another", None])
def test_multi_head_attention_with_is_causal(need_weights, padded, more, mask, x64):
    import torch

    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "query": generator.normal(size=(3, 2, 4)),
        "key": generator.normal(size=(3, 2, 4)),
        "value": generator.normal(size=(3, 2, 4)),
        "in_proj_weight": generator.normal(size=(12, 4)),
        "in_proj_bias": generator.normal(size=12),
        "out_proj_weight": generator.normal(size=(4, 4)),
        "out_proj_bias": generator.normal(size=4),
    }
    if mask is not None:
        hidden = np.triu(np.ones((3, 3), bool), 1)
        arrays["attn_mask"] = hidden if mask == "causal" else np.eye(3, k=-1) > 0
    if padded:
        arrays["key_padding_mask"] = np.array([[0, 0, 1], [0, 0, 0]], bool)
    options = {"num_heads": 2, "need_weights": need_weights, "is_causal": True}
    options["add_zero_attn"] = more == "a zero key"
    tensors = {key: torch.tensor(array) for key, array in arrays.items()}
    if mask is None:
        with pytest.raises(RuntimeError, match="Need attn_mask"):
            attention_in_torch(**tensors, **options)
        with pytest.raises(ValueError, match="attn_mask with is_causal=True"):
            attention_in_jaxgrad(**arrays, **options)
        return
    theirs = attention_in_torch(**tensors, **options)
    assert_close(attention_in_jaxgrad(**arrays, **options), theirs)


INF, NAN = math.inf, math.nan
WEIGHTS = ([1, INF, 1], [INF, INF, 1], [0, INF, 2], [-INF, 1, 1], [NAN, 1, 1])
TARGETS = ([1, 0], [0, 2], [2, -100], [[1.0, 0, 0], [0.5, 0.5, 0]])
LOGITS = ([[0.0, 1, 2], [0.5, -1, 0]], [[0.0, 1, 2000], [0.5, -1, 0]])


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
def test_class_weights_that_are_not_finite(reduction, x64):
    import torch

    one = functools.partial(_compare_weights, torch, reduction)
    for weight, target, logits in itertools.product(WEIGHTS, TARGETS, LOGITS):
        one("cross_entropy", weight, target, logits)
        one("cross_entropy", weight, target, logits, label_smoothing=0.25)
        if np.ndim(target) == 1:
            one("nll_loss", weight, target, logits)
            if -100 not in target:
                one("multi_margin_loss", weight, target, logits)


def _compare_weights(torch, reduction, name, weight, target, logits, **options):
    options["reduction"] = reduction
    x = torch.tensor(logits, requires_grad=True, dtype=torch.float64)
    given = torch.tensor(target, dtype=torch.float64 if np.ndim(target) > 1 else None)
    factor = torch.tensor(weight, dtype=torch.float64)
    theirs = getattr(torch.nn.functional, name)(x, given, weight=factor, **options)
    theirs.sum().backward()
    value, gradient = _weighted_call(name, tuple(sorted(options.items())))(
        jnp.asarray(logits), jnp.asarray(given.numpy()), jnp.asarray(factor.numpy())
    )
    message = f"{name}, {weight}, {target}, {logits}, {options}"
    assert_close(value, theirs.sum().item(), err_msg=message)
    assert_close(gradient, x.grad, err_msg=message)


@functools.cache
def _weighted_call(name, options):
    function = functools.partial(getattr(losses, name), **dict(options))
    return jax.jit(jax.value_and_grad(lambda x, y, w: function(x, y, weight=w).sum()))


AT_ZERO: tuple[tuple[str, dict[str, float]], ...] = (
    ("relu", {}),
    ("relu6", {}),
    ("leaky_relu", {}),
    ("rrelu", {}),
    ("elu", {"alpha": 2.0}),
    ("selu", {}),
    ("celu", {"alpha": 0.5}),
    ("softshrink", {"lambd": 0.0}),
    ("hardshrink", {"lambd": 0.0}),
    ("hardshrink", {"lambd": 1e-40}),
    ("threshold", {"threshold": 0.0, "value": 3.0}),
    ("hardtanh", {"min_val": 0.0, "max_val": 1.0}),
    ("hardtanh", {"min_val": -1.0, "max_val": 0.0}),
)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_gradient_below_the_smallest_normal_number(dtype, x64):
    import torch

    info = jnp.finfo(dtype)
    small = np.array([float(info.smallest_subnormal), float(info.tiny) / 2])
    points = np.concatenate([small, -small, [0.0, -0.0, NAN]])
    x = jnp.asarray(points.astype(jnp.dtype(dtype)))
    tensor = torch.tensor(points).to(getattr(torch, dtype))

    def ours(x):
        return [
            jax.vmap(
                jax.grad(functools.partial(getattr(activations, name), **options))
            )(x)
            for name, options in AT_ZERO
        ]

    for (name, options), gradient in zip(AT_ZERO, jax.jit(ours)(x), strict=True):
        leaf: Any = tensor.clone().requires_grad_()
        getattr(torch.nn.functional, name)(leaf, **options).sum().backward()
        assert_close(gradient, leaf.grad.double(), dtype, f"{name} {options}")


@pytest.mark.parametrize("p", [0.0, 1e-30, 1e-13, 1e-12, 0.25, 1 - 1e-12, 1.0])
def test_the_second_derivative_of_binary_cross_entropy(p, x64):
    import torch

    x = torch.tensor([p] * 3, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.binary_cross_entropy(x, y, reduction="sum")
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    theirs = torch.autograd.grad(slope.sum(), (x, y))

    def of_input(x, y):
        return jax.grad(losses.binary_cross_entropy)(x, y, reduction="sum").sum()

    arrays = jnp.full(3, p), jnp.array([0.0, 0.5, 1.0])
    ours = jax.jit(jax.grad(of_input, (0, 1)))(*arrays)
    for actual, expected in zip(ours, theirs, strict=True):
        assert_close(actual, expected.numpy(), err_msg=str(p))
