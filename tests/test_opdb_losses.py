"""PyTorch's own sample inputs and error inputs of its losses, run through both.

PyTorch tests its functions with a database of inputs. Here each of them goes into
jaxgrad too, whose error against float64 must not exceed PyTorch's.
"""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import losses
from tests.test_parity_activations import (
    assert_as_close_as_torch,
    in_jax,
    tensors_of,
)

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

LOSSES = """
    l1_loss mse_loss smooth_l1_loss huber_loss nll_loss cross_entropy kl_div
    poisson_nll_loss gaussian_nll_loss binary_cross_entropy
    binary_cross_entropy_with_logits soft_margin_loss multilabel_soft_margin_loss
    hinge_embedding_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss
    cosine_embedding_loss triplet_margin_loss triplet_margin_with_distance_loss ctc_loss
""".split()
DTYPES = ("float64", "float32")


def entry_of(name):
    from torch.testing._internal.common_methods_invocations import op_db

    (entry,) = [entry for entry in op_db if entry.name == f"nn.functional.{name}"]
    return entry


def samples(name, dtype):
    """The samples of the database, drawn in float32 and converted."""
    import torch

    torch.manual_seed(0)
    for sample in entry_of(name).sample_inputs("cpu", torch.float32, True):
        yield in_torch_dtype(sample, dtype)


def in_torch_dtype(sample, dtype):
    """The sample with its floating tensors as leaves of `dtype`."""
    import torch

    def leaf(value):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            learned = value.requires_grad
            return value.detach().to(dtype).requires_grad_(learned)
        return value

    return sample.transform(leaf)


def by_torch(name, sample):
    """Value and gradients by PyTorch, in float64."""
    import torch

    value = entry_of(name)(sample.input, *sample.args, **sample.kwargs)
    inputs = learned(sample)
    weights = value.detach().double().cos()
    gradients = torch.autograd.grad(
        (value * weights).sum(), inputs, materialize_grads=True
    )
    return [tensor.detach().double().numpy() for tensor in (value, *gradients)]


def arguments(sample):
    return [sample.input, *sample.args], dict(sample.kwargs)


def learned(sample):
    return [leaf for leaf in tensors_of(arguments(sample)) if leaf.requires_grad]


def in_jaxgrad(name, sample, truth):
    """Value and gradients by jaxgrad, in the dtype of the sample."""
    tensors = tensors_of(arguments(sample))
    places = [i for i, tensor in enumerate(tensors) if tensor.requires_grad]
    arrays = [in_jax(tensor) for tensor in tensors]

    def call(differentiated):
        filled = iter(
            differentiated[places.index(i)] if i in places else array
            for i, array in enumerate(arrays)
        )
        positional, options = jax.tree.map(
            lambda leaf: translated(leaf, filled), arguments(sample)
        )
        return getattr(losses, name)(*positional, **options)

    value, pull_back = jax.vjp(call, [arrays[i] for i in places])
    return [value, *pull_back(jnp.asarray(np.cos(truth), value.dtype))[0]]


def translated(leaf, arrays):
    """Replace a tensor by the next of `arrays`, PyTorch's distance by JAX's."""
    import torch

    if isinstance(leaf, torch.Tensor):
        return next(arrays)
    if isinstance(leaf, torch.nn.PairwiseDistance):
        return lambda u, v: jnp.linalg.norm(u - v + leaf.eps, leaf.norm, -1)
    return leaf


@pytest.mark.parametrize("name", LOSSES)
def test_every_sample_input_of_torch_agrees(name, x64, tally, bounded_memory):
    import torch

    count = Counter()
    for dtype in DTYPES:
        for sample in samples(name, getattr(torch, dtype)):
            truth = by_torch(name, in_torch_dtype(sample, torch.float64))
            theirs = by_torch(name, sample)
            with tally(f"torch's sample inputs of losses in {dtype}"):
                ours = in_jaxgrad(name, sample, truth[0])
                for actual, torch_s, exact in zip(ours, theirs, truth, strict=True):
                    assert actual.dtype == dtype
                    assert_as_close_as_torch(actual, torch_s, exact, dtype)
            count[dtype] += 1
            bounded_memory()
    assert min(count[dtype] for dtype in DTYPES) > 0


def test_every_error_input_of_torch_is_an_error(x64, tally):
    found = Counter()
    for name in LOSSES:
        entry = entry_of(name)
        for error in entry.error_inputs("cpu") if entry.error_inputs_func else ():
            positional, options = in_jax(arguments(error.sample_input))
            with (
                tally("torch's error inputs of losses, refused"),
                pytest.raises((ValueError, TypeError), match=r"expected|Type-check"),
            ):
                getattr(losses, name)(*positional, **options)
            found[name] += 1
    assert {"l1_loss", "huber_loss", "multi_margin_loss"} <= set(found)
