"""What training passes around: the state, the network, and what is told of both."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, ArrayLike, PRNGKey, PyTree


class Model(NamedTuple):
    """A network that trains differently than it predicts: `train()` and `eval()`.

    Wherever a network is asked for, a plain function `(params, images) -> logits` is
    enough, unless the network draws random numbers while training (dropout) or keeps
    a state that is not learned (the averages of batch normalisation).

    Attributes:
        train: `(params, model_state, images, key) -> (logits, model_state)`, with
            another key in each step.
        evaluate: `(params, model_state, images) -> logits`.
    """

    train: Callable[[PyTree, PyTree, Array, PRNGKey], tuple[Array, PyTree]]
    evaluate: Callable[[PyTree, PyTree, Array], Array]


Network = Model | Callable[[PyTree, Array], Array]


class TrainState(NamedTuple):
    """Everything that training changes, and so everything that a checkpoint needs."""

    params: PyTree
    opt_state: optax.OptState
    key: PRNGKey  # never changes: an epoch's order and a step's noise are drawn from it
    epoch: Array  # (), int32: completed epochs
    step: Array  # (), int32: completed steps
    model_state: PyTree = ()  # what `Model.train` passes on


class Evaluation(NamedTuple):
    """How a network does on a split."""

    loss: Array  # (): the mean over all examples
    accuracy: Array  # (): the share of examples whose largest logit is their label's
    correct: Array  # (), int32: how many


class Epoch(NamedTuple):
    """What `fit` tells about an epoch."""

    epoch: int  # 0 is the first
    train_loss: float  # mean of the batches' losses, each before its update
    train_loss_after: float | None  # mean over the training set after the epoch
    test_loss: float
    test_accuracy: float
    seconds: float  # of the training alone; compilation included


def init(
    key: PRNGKey,
    params: PyTree,
    optimizer: optax.GradientTransformation,
    model_state: PyTree = (),
) -> TrainState:
    """The state before the first step; it shares no memory with its arguments.

    Args:
        key: Decides the order of the examples and the network's noise.
        params: The first parameters, any pytree of arrays.
        optimizer: Any `optax.GradientTransformation`.
        model_state: The first state of a `Model` that has one.
    """
    zero = jnp.zeros((), jnp.int32)
    opt_state = optimizer.init(params)
    return copied(TrainState(params, opt_state, key, zero, zero, model_state))


def as_model(apply: Network) -> Model:
    """`apply` itself if it is a `Model`, else the one that it makes."""
    if isinstance(apply, Model):
        return apply
    return Model(
        train=lambda params, state, images, key: (apply(params, images), state),
        evaluate=lambda params, state, images: apply(params, images),
    )


def copied(tree: Any) -> Any:
    """New arrays, none of them weakly typed: a step's result would not be either."""

    def fresh(leaf: ArrayLike) -> Array:
        return jnp.array(leaf, dtype=jnp.asarray(leaf).dtype, copy=True)

    return jax.tree.map(fresh, tree)
