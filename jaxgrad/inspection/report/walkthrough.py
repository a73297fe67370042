"""The chain rule of a report in short texts, for the script of its page."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgrad.inspection.report.data import Argument, Contribution, Report, Step
from jaxgrad.inspection.report.format import location, number, plain, summary_text
from jaxgrad.inspection.report.marks import key_of
from jaxgrad.inspection.report.rows import texts_of
from jaxgrad.inspection.report.summary import Summary, summarize

# Arrays of at most this many elements are written out.
FEW = 9


def walkthrough(report: Report) -> str:
    """JSON for a `script` element: steps, arguments, and what the edges send."""
    chain = report.chain_rule
    data = {
        "name": plain(report.name),
        "why": plain(chain.why),
        "things": {key_of(t): _thing(t) for t in (*report.arguments, *report.steps)},
        "steps": [key_of(step) for step in report.steps],
        "result": None if report.result is None else f"step-{report.result}",
        "sent": [_sent(part, report) for part in chain.contributions],
    }
    # No text of the program can end the element.
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _thing(thing: Step | Argument) -> dict[str, Any]:
    """What the page says about a step or an argument."""
    taken = getattr(thing, "taken", None)
    arrays = [
        {"name": texts.name}
        | {
            name: _text(array, text) if taken is None else text
            for name, array, text in (
                ("value", value, texts.value),
                ("gradient", gradient, texts.gradient),
            )
        }
        for texts, (value, gradient) in zip(
            texts_of(thing), _arrays(thing), strict=True
        )
    ]
    said = {"arrays": arrays, "differentiated": _has_gradient(thing)}
    if isinstance(thing, Argument):
        return said | {"name": plain(thing.path)}
    keyed = [(plain(o.label), _key(o.kind, o.index)) for o in thing.inputs]
    return said | {
        "name": plain(thing.name),
        "operation": plain(thing.operation),
        "line": location(thing.source),
        "source": plain(thing.source.text),
        "reads": [{"name": name, "key": key} for name, key in keyed],
    }


def _arrays(thing: Step | Argument) -> Sequence[tuple[Any, Any]]:
    if isinstance(thing, Step):
        return thing.results
    return ((thing.value, thing.gradient),)


def _has_gradient(thing: Step | Argument) -> bool:
    return any(gradient is not None for _, gradient in _arrays(thing))


def _key(kind: str, index: int | None) -> str:
    return "" if index is None else f"{kind}-{index}"


def _sent(part: Contribution, report: Report) -> dict[str, Any]:
    things = report.steps if part.kind == "step" else report.arguments
    thing = things[part.index]
    names = thing.outputs if isinstance(thing, Step) else ()
    return {
        "by": [f"step-{i}" for i in part.by],
        "to": f"{part.kind}-{part.index}",
        "part": plain(names[part.position]) if names else "",
        "value": _amount(part.value, "cannot be told apart"),
        "formula": plain(part.formula),
        "slope": _amount(part.slope, ""),
        "form": part.form,
    }


def _amount(value: Any, otherwise: str) -> str:
    """A contribution or a local derivative; `otherwise` without one."""
    if value is None:
        return otherwise
    summary = value if isinstance(value, Summary) else summarize(value)
    return _text(value, summary_text(summary, ""))


def _text(value: Any, text: str) -> str:
    """The numbers of a small array, else the text for it."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind not in "iufcV" or not kind or not 0 < np.size(value) <= FEW:
        return text
    return _written(np.asarray(value))


def _written(array: Any) -> str:
    if array.ndim:
        return f"[{', '.join(map(_written, array))}]"
    if array.dtype.kind == "c":
        return number(complex(array), 5)
    return number(float(array), 6)
