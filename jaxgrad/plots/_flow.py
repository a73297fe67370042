"""How values and gradients grow or shrink through layers and through time."""

from matplotlib.ticker import MaxNLocator

from jaxgrad.inspection import Explanation
from jaxgrad.inspection import gradient_flow as flows_of
from jaxgrad.plots._colours import BLUE, VERMILION
from jaxgrad.plots._figure import Figure
from jaxgrad.plots._numbers import number

UNITS = {"depth": "layer", "time": "iteration"}


def gradient_flow(report: Explanation) -> Figure:
    """The norms of every repeated step's value and gradient, on a logarithmic axis.

    A straight line that falls to the left is a vanishing gradient; one that rises to
    the left is an exploding gradient. The legend gives the factor.

    Args:
        report: What `jaxgrad.explain` returns, with `keep="arrays"`.

    Returns: The figure, a panel for each flow of `jaxgrad.inspection.gradient_flow`.

    Raises:
        ValueError: If no step of the report is repeated at least four times.
    """
    flows = flows_of(report)
    if not flows:
        raise ValueError(
            "gradient_flow: expected a report in which a step is repeated at least "
            f"four times, got {len(report)} steps without such a step instead."
        )
    figure = Figure(figsize=(6, 3.2 * len(flows)), layout="constrained")
    panels = figure.subplots(len(flows), 1, squeeze=False)[:, 0]
    for axes, flow in zip(panels, flows, strict=True):
        unit = UNITS[flow.along]
        line = f"gradient: times {number(flow.factor, 3)} per {unit}, going back"
        axes.semilogy(flow.gradients, "o-", color=VERMILION, label=line)
        axes.semilogy(flow.values, "s--", color=BLUE, label="value")
        axes.set(xlabel=unit, ylabel="Euclidean norm", title=flow.steps[0].name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure
