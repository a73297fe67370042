"""`explain_torch`: the same report of a PyTorch program."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from jaxgrad._checks import check_callable, check_choice
from jaxgrad.inspection.program.frames import home_of, name_of
from jaxgrad.inspection.report.explanation import Explanation
from jaxgrad.inspection.torch_run.arrays import array_of
from jaxgrad.inspection.torch_run.leaves import inputs_of
from jaxgrad.inspection.torch_run.run import run
from jaxgrad.inspection.torch_run.steps import (
    arguments_of,
    copied,
    steps_of,
    summarized,
)
from jaxgrad.inspection.torch_run.variables import name_results


def explain_torch(
    f: Callable[..., Any],
    has_aux: bool = False,
    keep: Literal["arrays", "summary"] = "arrays",
) -> Callable[..., Explanation]:
    """Every intermediate value of a PyTorch program, its gradient, its source line."""
    check_callable("explain_torch", "f", f)
    check_choice("explain_torch", "keep", keep, ("arrays", "summary"))
    if importlib.util.find_spec("torch") is None:
        raise ImportError("explain_torch: expected PyTorch; `pip install torch`.")
    summary = keep == "summary"

    def explained(*args: Any, **kwargs: Any) -> Explanation:
        inputs = inputs_of(f, args, kwargs)
        kept = summarized if summary else copied
        ran = run(f, args, kwargs, inputs, has_aux, kept, home_of(f))
        name_results(ran.records, ran.result)
        value: Any = array_of(ran.value).reshape(())
        arguments = arguments_of(ran)
        return Explanation(
            name=name_of(f),
            value=(value, ran.output[1]) if has_aux else value,
            gradients={a.path: a.gradient for a in arguments if a.gradient is not None},
            arguments=arguments,
            steps=steps_of(ran, inputs.scopes, summary),
            result=ran.result.number if ran.result.kind == "step" else None,
        )

    return explained
