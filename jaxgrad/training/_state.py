"""What training passes around: the network, the state and the measurements."""

import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgrad._display import brief, fields_html, short_repr, table, type_text
from jaxgrad._types import Array, PRNGKey, PyTree
from jaxgrad.training._monitor import Watched

Loss = Callable[[Array, Array], Array]  # (logits, labels) -> losses, one per example


class Model(NamedTuple):
    """A network that behaves differently in training: `train()` and `eval()`.

    A plain function `(params, images) -> logits` is enough unless the network draws
    random numbers in training (dropout) or keeps a state that is not learned (the
    running averages of batch normalisation).

    Attributes:
        train: `(params, model_state, images, key) -> (logits, model_state)`; each step
            passes a different key.
        evaluate: `(params, model_state, images) -> logits`.
    """

    train: Callable[[PyTree, PyTree, Array, PRNGKey], tuple[Array, PyTree]]
    evaluate: Callable[[PyTree, PyTree, Array], Array]

    __repr__ = short_repr
    _repr_html_ = fields_html


Network = Model | Callable[[PyTree, Array], Array]


class TrainState(NamedTuple):
    """Everything that training changes, which is what a checkpoint has to hold."""

    params: PyTree
    opt_state: optax.OptState
    key: PRNGKey  # constant: each epoch's order and each step's noise derive from it
    epoch: Array  # (), int32: completed epochs
    step: Array  # (), int32: completed steps
    model_state: PyTree = ()  # what `Model.train` returns

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        return state_html(self)


class Evaluation(NamedTuple):
    """Loss and accuracy of a network on a split."""

    loss: Array  # (): mean over all examples
    accuracy: Array  # (): share of examples whose largest logit is that of their label
    correct: Array  # (), int32: number of such examples

    __repr__ = short_repr
    _repr_html_ = fields_html


class Epoch(NamedTuple):
    """The measurements of one epoch."""

    epoch: int  # counted from 0
    train_loss: float  # mean of the batches' losses, each taken before its update
    train_loss_after: float | None  # mean over the training set after the epoch
    test_loss: float
    test_accuracy: float  # in [0, 1]
    seconds: float  # training only, compilation included
    watched: Watched | None = None  # with `fit(watch=...)`

    __repr__ = short_repr
    _repr_html_ = fields_html


def state_html(state: TrainState) -> str:
    """The parameters of a state with their sizes, and how far it is trained."""
    leaves = jax.tree.leaves_with_path(state.params)
    total = _size(state.params)
    title = (
        f"epoch {brief(state.epoch)}, step {brief(state.step)}: {total:,} parameters; "
        f"{_size(state.opt_state):,} numbers of the optimizer's state"
    )
    rows = [
        (
            jax.tree_util.keystr(path),
            type_text(jnp.shape(x), jnp.result_type(x)),
            f"{_size(x):,}",
        )
        for path, x in leaves
    ]
    return table(title, ("parameter", "type", "size"), rows)


def _size(tree: PyTree) -> int:
    return sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(tree))


def init(
    key: PRNGKey,
    params: PyTree,
    optimizer: optax.GradientTransformation,
    model_state: PyTree = (),
) -> TrainState:
    """The state before the first step; it shares no memory with its arguments.

    Args:
        key: Determines the order of the examples and the network's noise.
        params: The initial parameters, any pytree of arrays.
        optimizer: Any `optax.GradientTransformation`.
        model_state: The initial state of a `Model` that has one.
    """
    zero = jnp.zeros((), jnp.int32)
    opt_state = optimizer.init(params)
    return copied(TrainState(params, opt_state, key, zero, zero, model_state))


def as_model(apply: Network) -> Model:
    """`apply` itself if it is a `Model`; a plain function becomes a stateless one."""
    if isinstance(apply, Model):
        return apply
    return Model(
        train=lambda params, state, images, key: (apply(params, images), state),
        evaluate=lambda params, state, images: apply(params, images),
    )


def copied(tree: Any) -> Any:
    """A copy without weak types, which the result of a step would not have either."""
    return jax.tree.map(lambda x: jnp.array(x, jnp.asarray(x).dtype, copy=True), tree)


def sha256(tree: PyTree) -> str:
    """SHA-256 of the bytes of a pytree's leaves, in the tree's order."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
