"""PyTorch's own sample inputs and error inputs, run through both libraries.

PyTorch tests its functions with a database of inputs. Here each of them goes into
jaxgrad too. Randomness (dropout, slopes of rrelu) is switched off: two generators
cannot draw the same numbers.
"""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import activations
from tests.tolerances import ATOL, assert_close

pytestmark = pytest.mark.parity

PLAIN = """
    relu relu6 hardtanh hardsigmoid hardswish leaky_relu rrelu prelu hardshrink
    softshrink threshold elu celu selu softplus logsigmoid softsign tanhshrink silu
    mish gelu glu softmin scaled_dot_product_attention multi_head_attention_forward
"""
OPERATORS = [
    *(f"nn.functional.{name}" for name in PLAIN.split()),
    *("sigmoid", "tanh", "softmax", "log_softmax"),
]
DTYPES = ("float64", "float32")


def database():
    """PyTorch's entries for these functions, without complex numbers."""
    from torch.testing._internal.common_methods_invocations import op_db

    return [
        entry
        for entry in op_db
        if entry.name in OPERATORS and entry.variant_test_name != "complex"
    ]


def of(entry):
    return entry.name.removeprefix("nn.functional.")


# `softmax` and `softmax with_dtype` have the same name; the pair is the id.
NAMES = [*OPERATORS, "softmax with_dtype", "log_softmax with_dtype"]
NAMES += ["nn.functional.softmin with_dtype"]


def entry_named(name):
    (found,) = [
        entry
        for entry in database()
        if f"{entry.name} {entry.variant_test_name}".strip() == name
    ]
    return found


def as_keywords(entry, sample):
    """A sample as (arrays and numbers by position, options), without randomness."""
    if of(entry) == "multi_head_attention_forward":
        return attention_arguments(sample)
    options = dict(sample.kwargs)
    options.pop("training", None)
    if "dropout_p" in options:
        options["dropout_p"] = 0.0
    return [sample.input, *sample.args], options


def attention_arguments(sample):
    """The sample's arguments, in the order and by the names of jaxgrad."""
    key, value, embedding, heads, in_w, in_b, bias_k, bias_v, zero, _, out_w, out_b = (
        sample.args
    )
    more = sample.kwargs
    assert embedding == sample.input.shape[-1]
    if more["use_separate_proj_weight"]:
        in_w = tuple(more[f"{part}_proj_weight"] for part in "qkv")
    options = {
        "bias_k": bias_k,
        "bias_v": bias_v,
        "add_zero_attn": zero,
        "attn_mask": more["attn_mask"],
    }
    known = {"use_separate_proj_weight", "attn_mask", "training"}
    known |= {f"{part}_proj_weight" for part in "qkv"}
    assert set(more) <= known, "every option of the sample is understood"
    return [sample.input, key, value, heads, in_w, in_b, out_w, out_b], options


def torch_result(entry, sample):
    """The sample's value by PyTorch, in float64 and without randomness."""
    if of(entry) == "multi_head_attention_forward":
        *head, _, out_w, out_b = sample.args
        options = sample.kwargs | {"training": False}
        return entry(sample.input, *head, 0.0, out_w, out_b, **options)
    (first, *others), options = as_keywords(entry, sample)
    return entry(first, *others, **options)


def in_torch_dtype(sample, dtype):
    """The sample with its floating tensors, and its option `dtype`, in `dtype`."""
    import torch

    def convert(leaf):
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
            return leaf.detach().to(dtype).requires_grad_(True)
        return dtype if leaf in (torch.float32, torch.float64) else leaf

    return sample.transform(convert)


def tensors_of(tree):
    import torch

    leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, torch.Tensor))
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def in_jax(tree):
    """Convert tensors to arrays of the same dtype, and PyTorch's dtypes to JAX's."""
    import torch

    def convert(leaf):
        if isinstance(leaf, torch.Tensor):
            return jnp.asarray(leaf.detach().numpy())
        if isinstance(leaf, torch.dtype):
            return jnp.dtype(str(leaf).removeprefix("torch."))
        return leaf

    return jax.tree.map(convert, tree, is_leaf=lambda leaf: leaf is None)


def results(value):
    """The arrays of a result, one or (output, weights)."""
    return list(value) if isinstance(value, tuple) else [value]


def by_torch(entry, sample):
    """Values and gradients by PyTorch, as float64; zeros where there is no path."""
    import torch

    values = results(torch_result(entry, sample))
    inputs = [
        tensor
        for tensor in tensors_of(as_keywords(entry, sample))
        if tensor.requires_grad
    ]
    gradients = torch.autograd.grad(
        torch.stack([(v * v.detach().double().cos()).sum() for v in values]).sum(),
        inputs,
        materialize_grads=True,
    )
    return [tensor.detach().double().numpy() for tensor in (*values, *gradients)]


def computed(entry, sample, truth):
    """Values and gradients by jaxgrad, in the dtype of the sample."""
    arguments = in_jax(as_keywords(entry, sample))
    leaves, structure = jax.tree.flatten(arguments, is_leaf=lambda leaf: leaf is None)
    floating = [
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    name = of(entry).removesuffix("_forward")

    def call(arrays):
        filled = list(leaves)
        for i, array in zip(floating, arrays, strict=True):
            filled[i] = array
        positional, options = jax.tree.unflatten(structure, filled)
        return results(call_named(name, positional, options))

    values, pull_back = jax.vjp(call, [leaves[i] for i in floating])
    weights = [
        jnp.asarray(np.cos(exact), value.dtype)
        for exact, value in zip(truth, values, strict=False)
    ]
    return [*values, *pull_back(weights)[0]]


def assert_as_close_as_torch(actual, torch_s, exact, dtype):
    """Within eight tolerances of the float64 result, or twice PyTorch's distance.

    The tolerances are made for numbers up to 2; these go up to 9.
    """
    assert actual.shape == exact.shape
    torch_distance = np.max(np.abs(torch_s - exact), initial=0)
    scale = max(8, 2 * torch_distance / ATOL[dtype])
    assert_close(actual, exact, dtype, factor=scale if np.isfinite(scale) else 8)


def call_named(name, positional, options):
    function = getattr(activations, name)
    options = {"axis" if key == "dim" else key: v for key, v in options.items()}
    return function(*positional, **options)


ATTENTION = "nn.functional.multi_head_attention_forward"
# Its samples are all combinations of its options, and take minutes. CI runs a fifth.
PARTS = {
    "all": lambda number: True,
    "a fifth": lambda number: number % 5 == 0,
    "the rest": lambda number: number % 5 != 0,
}
REST = pytest.param(ATTENTION, "the rest", marks=pytest.mark.by_hand)
RUNS = [*((name, "all") for name in NAMES if name != ATTENTION), (ATTENTION, "a fifth")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "part"), [*RUNS, REST])
def test_every_sample_input_of_torch_agrees(
    name, dtype, part, x64, tally, bounded_memory
):
    import torch

    entry = entry_named(name)
    torch.manual_seed(0)
    samples = list(entry.sample_inputs("cpu", getattr(torch, dtype)))
    samples = [sample for i, sample in enumerate(samples) if PARTS[part](i)]
    assert samples
    for sample in samples:
        sample = in_torch_dtype(sample, getattr(torch, dtype))
        theirs = by_torch(entry, sample)
        truth = by_torch(entry, in_torch_dtype(sample, torch.float64))
        with tally(f"torch's sample inputs of activations in {dtype}"):
            for actual, torch_s, exact in zip(
                computed(entry, sample, truth), theirs, truth, strict=True
            ):
                assert_as_close_as_torch(actual, torch_s, exact, dtype)
        bounded_memory()


def test_every_error_input_of_torch_is_an_error(x64, tally):
    found = set()
    for entry in database():
        if entry.error_inputs_func is None:
            continue
        for error in entry.error_inputs("cpu"):
            positional, options = in_jax(as_keywords(entry, error.sample_input))
            with (
                tally("torch's error inputs of activations, refused"),
                pytest.raises((ValueError, TypeError), match=r"expected|Type-check"),
            ):
                call_named(of(entry), positional, options)
            found.add(of(entry))
    assert {"prelu", "rrelu", "softshrink", "hardtanh", "gelu"} <= found


def test_torch_is_the_reference():
    assert importlib.util.find_spec("expecttest"), "the [parity] extra has it"
    import torch

    assert torch.__version__.startswith("2.13.0")
