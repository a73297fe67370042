"""A training run of milliseconds: three classes of 4 x 3 images, a small perceptron."""

from functools import partial

import jax
import numpy as np

from jaxgrad.losses import cross_entropy
from jaxgrad.mnist import model
from jaxgrad.mnist._dataset import Dataset, Split

LOSS = partial(cross_entropy, reduction="none")
WHITE = 16
BATCH = 16
N = 50  # three batches of 16 and a last one of 2


def blobs(n, seed):
    """Three classes of 4 x 3 images, each bright in a row of its own."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n).astype(np.int32)
    images = generator.integers(0, 8, (n, 4, 3)).astype(np.uint8)
    images[np.arange(n), labels] += 8
    return Split(images, labels)


TRAIN, TEST = blobs(N, 1), blobs(23, 2)
DATASET = Dataset("blobs", TRAIN, TEST, num_classes=3, white=WHITE, source="drawn")
APPLY, PARAMS = model.mlp(jax.random.key(1), sizes=(12, 8, 3))
