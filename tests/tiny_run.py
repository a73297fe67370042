"""A training run of milliseconds: three classes of 4 x 3 images, a small perceptron."""

from functools import partial
from itertools import pairwise

import jax
import numpy as np

from jaxgrad.datasets import Dataset, Split
from jaxgrad.initializers import linear_bias, linear_weight
from jaxgrad.losses import cross_entropy

LOSS = partial(cross_entropy, reduction="none")
WHITE = 16
BATCH = 16
N = 50  # three batches of 16 and a last one of 2


def blobs(n, seed):
    """Three classes of 4 x 3 images, each with a bright row of its own."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n).astype(np.int32)
    images = generator.integers(0, 8, (n, 4, 3)).astype(np.uint8)
    images[np.arange(n), labels] += 8
    return Split(images, labels)


def apply(params, images):
    """A perceptron without Flax: linear layers with ReLU between them."""
    x = images.reshape(len(images), -1)
    *hidden, last = (params[name] for name in sorted(params))
    for layer in hidden:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    return x @ last["kernel"] + last["bias"]


def mlp(key, sizes=(12, 8, 3), dtype="float32"):
    """The initial parameters of a perceptron."""
    params = {}
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        key, weight_key, bias_key = jax.random.split(key, 3)
        weight = linear_weight(in_axis=-2, out_axis=-1)
        params[f"fc{number}"] = {
            "kernel": weight(weight_key, (inputs, outputs), dtype),
            "bias": linear_bias(inputs)(bias_key, (outputs,), dtype),
        }
    return params


TRAIN, TEST = blobs(N, 1), blobs(23, 2)
DATASET = Dataset("blobs", TRAIN, TEST, num_classes=3, white=WHITE, source="drawn")
PARAMS = mlp(jax.random.key(1))
