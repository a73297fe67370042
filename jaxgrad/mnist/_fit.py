"""The loop around the epochs, which can stop and go on between any two steps."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Float

from jaxgrad._checks import check_int
from jaxgrad._types import Array
from jaxgrad.mnist._dataset import Dataset, Split
from jaxgrad.mnist._epoch import Loss, train_steps
from jaxgrad.mnist._evaluation import all_of, judge
from jaxgrad.mnist._sharding import replicated
from jaxgrad.mnist._state import Epoch, Evaluation, Network, TrainState, copied
from jaxgrad.mnist._visits import Visits, batches, shuffled, visits

EVALUATED_AT_A_TIME = 1000  # examples; no result depends on it
_NO_LOSSES = np.zeros(0, np.float32)


class Progress(NamedTuple):
    """A run between two of its steps: all that is needed to go on from there."""

    state: TrainState
    losses: Float[np.ndarray, "steps"] = _NO_LOSSES  # of the epoch that has begun
    seconds: float = 0.0  # spent on that epoch
    completed: tuple[Epoch, ...] = ()  # what was told of those before it


def fit(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int = 256,
    evaluate_training: bool = False,
    mesh: Mesh | None = None,
) -> Iterator[tuple[TrainState, Epoch]]:
    """Train until `epochs` epochs are completed, telling about each.

        first = init(key, params, optimizer)
        for state, epoch in fit(apply, loss, optimizer, first, dataset, epochs=20):
            print(epoch.epoch, epoch.train_loss, epoch.test_accuracy)

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state to start from, from `init` or of an interrupted run; it stays
            valid. Its completed epochs count towards `epochs`.
        dataset: What to learn from, and what to be judged by.
        epochs: The number of completed epochs to reach, at least 1.
        batch_size: The number of examples per step, at least 1.
        evaluate_training: Whether to evaluate the training set after each epoch,
            too, which adds about a third to the time of an epoch.
        mesh: The devices to spread each batch over, such as `data_mesh()`; by default
            one. Over several processes, all of them make the same calls.

    Returns:
        An iterator over the states after each epoch, each with its `Epoch`. The next
        epoch takes the state's buffers: copy what shall be kept
        (`jax.tree.map(jnp.copy, state)`).

    Raises:
        TypeError, ValueError: If `epochs` or `batch_size` is no int or below 1.
    """
    check_int("fit", "epochs", epochs, least=1)
    check_int("fit", "batch_size", batch_size, least=1)
    run = advance(
        apply,
        loss,
        optimizer,
        Progress(state),
        dataset,
        epochs=epochs,
        batch_size=batch_size,
        evaluate_training=evaluate_training,
        mesh=mesh,
    )
    return ((progress.state, progress.completed[-1]) for progress in run)


def advance(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    progress: Progress,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int = 256,
    save_every: int | None = None,
    evaluate_training: bool = False,
    mesh: Mesh | None = None,
) -> Iterator[Progress]:
    """`fit` for runs that are saved: from one `Progress` to the next.

    Whoever goes on from any of them, in this process or in another, ends in the same
    bits; the only numbers that differ are seconds.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        progress: Where to go on; `Progress(state)` at the start. It stays valid.
        dataset: What to learn from, and what to be judged by.
        epochs: The number of completed epochs to reach, at least 1.
        batch_size: As in `fit`; the same throughout a run.
        save_every: The number of steps between two results; by default an epoch's.
        evaluate_training: As in `fit`.
        mesh: As in `fit`.

    Returns:
        An iterator over what was reached: after every `save_every` steps, counted from
        the start of the epoch or from where the run went on, and at the end of each
        epoch, when `losses` is empty and `completed` has one more. The next step takes
        the buffers of `state`.

    Raises:
        TypeError, ValueError: If a number is no int or below 1.
    """
    check_int("advance", "epochs", epochs, least=1)
    check_int("advance", "batch_size", batch_size, least=1)
    if save_every is not None:
        check_int("advance", "save_every", save_every, least=1)
    work = _work(apply, loss, optimizer, dataset, batch_size, evaluate_training, mesh)
    state = copied(progress.state)
    if mesh is not None:
        state = replicated(state, mesh)
    return _advance(progress._replace(state=state), work, epochs, save_every)


class _Work(NamedTuple):
    """What a run does again and again."""

    steps: int  # of an epoch
    see: Callable[[TrainState], Visits]
    train: Callable[[TrainState, Visits, int, int], tuple[TrainState, Array]]
    judge: Callable[[TrainState], tuple[float | None, float, float]]


def _work(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    dataset: Dataset,
    batch_size: int,
    evaluate_training: bool,
    mesh: Mesh | None,
) -> _Work:
    train, test = dataset.train, dataset.test
    n, tests = len(train.labels), len(test.labels)
    if mesh is None:  # else the devices get their parts from the host in each epoch
        train, test = jax.tree.map(jnp.asarray, (train, test))

    def judged(split: Split) -> Callable[[TrainState], Evaluation]:
        seen = all_of(split, EVALUATED_AT_A_TIME, mesh)
        how = {"n": len(split.labels), "white": dataset.white, "mesh": mesh}
        return lambda s: judge(apply, loss, s.params, s.model_state, seen, **how)

    tested, trained = judged(test), judged(train) if evaluate_training else None

    def see(state: TrainState) -> Visits:
        order = shuffled(state.key, state.epoch, n=n)
        return visits(train, order, batch_size, mesh)

    def tell(state: TrainState) -> tuple[float | None, float, float]:
        after = None if trained is None else float(trained(state).loss)
        result = tested(state)
        return after, float(result.loss), int(result.correct) / tests

    steps = partial(train_steps, apply, loss, optimizer, white=dataset.white, mesh=mesh)
    return _Work(batches(n, batch_size).steps, see, steps, tell)


def _advance(
    progress: Progress, work: _Work, epochs: int, save_every: int | None
) -> Iterator[Progress]:
    for epoch in range(int(progress.state.epoch), epochs):
        for reached in _chunks(progress, work, save_every or work.steps):
            progress = reached
            if len(reached.losses) < work.steps:
                yield reached
        state, losses, seconds, completed = progress
        after, test_loss, test_accuracy = work.judge(state)
        train_loss = float(losses.mean(dtype=np.float64))
        told = Epoch(epoch, train_loss, after, test_loss, test_accuracy, seconds)
        progress = Progress(state, completed=(*completed, told))
        yield progress


def _chunks(progress: Progress, work: _Work, size: int) -> Iterator[Progress]:
    """The rest of an epoch."""
    clock = time.perf_counter()
    seen = work.see(progress.state)
    for first in range(len(progress.losses), work.steps, size):
        stop = min(first + size, work.steps)
        state, losses = work.train(progress.state, seen, first, stop)
        new = np.asarray(losses)[first:stop]  # waits for the steps to end
        progress = progress._replace(
            state=state,
            losses=np.concatenate([progress.losses, new]) if first else new,
            seconds=progress.seconds + time.perf_counter() - clock,
        )
        yield progress
        clock = time.perf_counter()
