"""`compare_training`: where two trainings part, and whether it is only rounding."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxgrad._checks import check_int, wrong_type, wrong_value
from jaxgrad.inspection.trajectories.result import TrainingComparison
from jaxgrad.inspection.trajectories.runs import Training
from jaxgrad.inspection.trajectories.search import comparison_of

Step = Callable[..., Any]


def compare_training(
    torch_step: Step | tuple[Step, Any],
    jax_step: Step | tuple[Step, Any],
    steps: int | Iterable[Any],
    names: Mapping[str, str] | None = None,
) -> TrainingComparison:
    """The first step and parameter where two trainings part, unless it is rounding.

    Runs the training of an original and of its port on the same batches, and compares
    in each step the loss, then the gradients, then the updates of the parameters. Named
    is the first difference that rounding does not explain. Rounding grows in training,
    often to any size: so both also run in float64, and theirs once more from a start
    that is moved by one unit in the last place.

    A step is a function of the batch that makes one update. It keeps its state in its
    closure, in globals or in its object: there it is found, saved and set back, so that
    the training can start anew. Afterwards all is as it was before the call. A step is
    also:

    - a function without arguments that builds everything and returns the step, if the
      state is nowhere to be found (in an iterator, for example);
    - a pair `(step, state)` of a pure function, `step(state, batch) -> (state, loss,
      gradients)`, and the state to start from.

    A step of PyTorch is the body of the loop as it is, and returns the loss. The
    gradients, before and after they are clipped, and the parameters of all modules and
    optimizers that the step can reach are seen from outside. Any other step returns
    `(loss, gradients, parameters)`, or a dictionary of these, with the parameters after
    the update. A pair may leave out the parameters: they are found in the state.
    Gradients may be given before or after they are clipped.

    Args:
        torch_step: The original, usually of PyTorch.
        jax_step: The port.
        steps: The batches, each passed to both steps; or a number of steps, which are
            then called with 0, 1, 2, ... Floating arrays and tensors in a batch become
            float64 in the run in float64.
        names: The parameters of theirs and ours that correspond, where it is not found
            by their numbers, layouts and names.

    Returns:
        A `TrainingComparison`. Its `first` is None, or the first `TrainingDifference`
        with `step`, `what`, `leaf` and a `guess` of the cause, by trial: the form and
        the settings of the optimizer, the schedule, weight decay, clipping, sums for
        means, the order of the batches, dropout. It prints as the verdict and a table.

    Raises:
        TypeError: If a step is not callable, or returns something else.
        ValueError: If `steps` is 0 or empty, or a name in `names` is unknown.
        Exception: What a step raises.

    Examples:
        >>> import numpy as np
        >>> from jaxgrad import compare_training
        >>> def training(rate):
        ...     w = np.array([1.0, -2.0])
        ...     def step(i):
        ...         gradient = 2 * w
        ...         loss = np.sum(w * w)
        ...         w[:] -= rate(i) * gradient
        ...         return loss, gradient, w
        ...     return step
        >>> theirs = training(lambda i: 0.1 if i < 5 else 0.01)
        >>> ours = training(lambda i: 0.1 if i < 6 else 0.01)
        >>> first = compare_training(theirs, ours, steps=10).first
        >>> first.step, first.what, first.cause
        (5, 'update', 'schedule')

    Torch: has no counterpart.
    """
    theirs = Training("compare_training", "torch_step", torch_step)
    ours = Training("compare_training", "jax_step", jax_step)
    return comparison_of(theirs, ours, _batches(steps), names)


def _batches(steps: int | Iterable[Any]) -> list[Any]:
    if isinstance(steps, (str, bytes, Mapping)):
        expected = "steps to be a number or the batches"
        raise wrong_type("compare_training", expected, type(steps).__name__)
    if isinstance(steps, Iterable):
        batches = list(steps)
    else:
        batches = list(range(check_int("compare_training", "steps", steps, 1)))
    if not batches:
        raise wrong_value("compare_training", "at least one step", "no batches")
    return batches
