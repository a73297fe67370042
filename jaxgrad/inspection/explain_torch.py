"""`explain_torch`: every intermediate value of a PyTorch program, and its gradient."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from jaxgrad._checks import check_callable, check_choice
from jaxgrad.inspection.program.frames import name_of
from jaxgrad.inspection.report.data import ChainRule
from jaxgrad.inspection.report.explanation import Explanation
from jaxgrad.inspection.torch_run.arrays import array_of, copied, summarized
from jaxgrad.inspection.torch_run.faults import first_nonfinite
from jaxgrad.inspection.torch_run.leaves import inputs_of
from jaxgrad.inspection.torch_run.recorder import Recorder
from jaxgrad.inspection.torch_run.run import Run, check_installed, run
from jaxgrad.inspection.torch_run.stack import home_of
from jaxgrad.inspection.torch_run.steps import arguments_of, steps_of

EAGER = "Functions under torch.compile ran operation by operation."
CUT = "The value requires no gradient: nothing that is differentiated leads to it."


def explain_torch(
    f: Callable[..., Any],
    has_aux: bool = False,
    keep: Literal["arrays", "summary"] = "arrays",
) -> Callable[..., Explanation]:
    """Every intermediate value of a PyTorch program, its gradient, its source line.

    The counterpart of `explain`, with the same report. A step is a call of a function
    of PyTorch, as the user or a module of PyTorch makes it; what the function calls
    inside belongs to it. The program runs once, forward and backward, and gives the
    numbers that it gives without `explain_torch`, bit for bit; its random numbers are
    drawn once. Then arguments, parameters and buffers (the running statistics of a
    batch norm), all `.grad`, `requires_grad` and `training` are as they were before;
    an optimizer that runs inside keeps its new state.

    Differentiated are the tensors that require a gradient: among the arguments, the
    parameters of every module that `f` can reach (`f` itself, its arguments, closure
    and globals), and further leaves. If there are none, it is the floating arguments.
    Parameters have the names of `state_dict()`, after the module's name if several
    modules have a state; a shared parameter is one argument with all its names.

    One step each are: a function of `autograd.Function`, of `torch.func`, of
    `torch.jit`, and an LSTM; their inside is not entered. A change in place is a step
    of its own, and the steps before it keep their values; a view that only such a
    change reads later has no gradient of its own. What another thread computes is one
    step, of the last operation. A module's full backward
    hook is a step `backward_hook`: its gradient is the one before the hook, and that of
    its operand the one after. Functions under `torch.compile` run uncompiled, which the
    report's note says. A loop is not folded: each iteration has its own steps.

    Arrays are NumPy's, of the tensors' dtypes, and nested tensors are padded with
    zeros; of complex tensors the gradients are
    PyTorch's, the conjugates of JAX's. A step that the value does not depend on has the
    gradient zero, as in `explain`; an argument has none, as in PyTorch.

    Args:
        f: A function or module that returns a floating tensor of one element (and
            more, with `has_aux`).
        has_aux: Whether `f` returns a pair of that tensor and further results, whose
            tensors become arrays.
        keep: "arrays" keeps all values and gradients; "summary" replaces each by a
            `Summary` as soon as it is computed.

    Returns:
        A function of the arguments of `f` that returns an `Explanation`: `gradients`
        is a dictionary by the arguments' paths, `scope` of a step the module's name.
        `nonfinite` is the first step with a NaN or an infinity, if the value or a
        gradient has one, without its cause and without a hint.

    Raises:
        TypeError: If `f` is not callable; on the call, if the result is not a floating
            tensor of one element.
        ValueError: If `keep` is unknown; on the call, if a parameter is lazy.
        ImportError: If PyTorch is not installed.
        Exception: On the call, what the program raises.

    Torch: `retain_grad()` on every intermediate tensor before `backward()`.
    """
    check_callable("explain_torch", "f", f)
    check_choice("explain_torch", "keep", keep, ("arrays", "summary"))
    check_installed("explain_torch")

    def explained(*args: Any, **kwargs: Any) -> Explanation:
        inputs = inputs_of(f, args, kwargs)
        recorder = Recorder(
            keep=summarized if keep == "summary" else copied,
            keep_gradient=summarized if keep == "summary" else array_of,
            home=home_of(f),
            internal={id(tensor) for tensor in inputs.constants.values()},
        )
        ran = run(f, args, kwargs, inputs, recorder, has_aux)
        return _explanation(name_of(f), ran, inputs.scopes, has_aux)

    return explained


def _explanation(
    name: str, ran: Run, scopes: dict[int, str], has_aux: bool
) -> Explanation:
    value: np.ndarray = array_of(ran.value).reshape(())
    arguments = arguments_of(ran)
    notes = (EAGER if ran.uncompiled else "", "" if ran.value.requires_grad else CUT)
    return Explanation(
        name=name,
        value=(value, ran.further) if has_aux else value,
        gradients={a.path: a.gradient for a in arguments if a.gradient is not None},
        arguments=arguments,
        steps=steps_of(ran, scopes),
        result=ran.result.number if ran.result.kind == "step" else None,
        note=" ".join(filter(None, notes)),
        _find=first_nonfinite,
        _chain=lambda _: ChainRule((), "PyTorch adds them up before they can be seen"),
    )
