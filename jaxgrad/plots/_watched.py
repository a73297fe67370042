"""What `training.fit(watch=...)` has measured, over the steps of the run."""

import re
from collections.abc import Iterable
from itertools import cycle
from typing import Literal

import numpy as np

from jaxgrad.plots._colours import OKABE_ITO
from jaxgrad.plots._curves import STYLES
from jaxgrad.plots._figure import Figure
from jaxgrad.training import Epoch, Watched

PANELS = {
    "gradient_norm": "gradient norm",
    "update_ratio": "update / weight",
    "dead": "share of zeros\nin the gradient",
}


def watched(
    epochs: Iterable[Epoch | Watched], *, of: Literal["layers", "parameters"] = "layers"
) -> Figure:
    """Gradient norms, update ratios and shares of zeros of each layer or parameter.

    Healthy layers keep norms within a few decades of each other and update ratios near
    1e-3. Zeros and infinities do not show on a logarithmic axis.

    Args:
        epochs: What `training.fit(watch=...)` yields, or `NonFinite.watched`.
        of: Which curves to draw.

    Returns: The figure, three panels over the steps of the run.

    Raises:
        ValueError: If no step was watched.
    """
    found = [each if isinstance(each, Watched) else each.watched for each in epochs]
    parts = [each for each in found if each is not None]
    if not parts:
        raise ValueError(
            "watched: expected epochs of fit(watch=...), got none with measurements "
            "instead."
        )
    steps = np.concatenate([part.steps for part in parts])
    figure = Figure(figsize=(8, 8), layout="constrained")
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (name, label) in zip(panels, PANELS.items(), strict=True):
        looks = zip(cycle(OKABE_ITO), cycle(STYLES), strict=False)
        for path, (colour, style) in zip(_paths(parts[0], of), looks, strict=False):
            metrics = [getattr(getattr(part, of)[path], name) for part in parts]
            values = np.concatenate(metrics)
            axes.plot(steps, values, color=colour, linestyle=style, label=path)
        axes.set(ylabel=label, yscale="linear" if name == "dead" else "log")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize="small")
    panels[-1].set(xlabel="step", ylim=(-0.02, 1.02))
    return figure


def _paths(part: Watched, of: str) -> list[str]:
    """The paths in their natural order, `fc2` before `fc10`."""

    def key(path: str) -> list[str | int]:
        return [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", path)]

    return sorted(getattr(part, of), key=key)
