"""The picture of a gradient's flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import explain, plots


def test_a_panel_shows_both_norms_and_the_factor():
    def loss(x):
        h, _ = jax.lax.scan(lambda h, _: (h / 2, None), x, None, length=6)
        return h.sum()

    figure = plots.gradient_flow(explain(loss)(jnp.ones(2)))
    (axes,) = figure.axes
    gradients, values = (np.asarray(line.get_ydata()) for line in axes.lines)
    np.testing.assert_allclose(gradients, np.sqrt(2) * 0.5 ** np.arange(5, -1, -1))
    np.testing.assert_allclose(values, np.sqrt(2) * 0.5 ** np.arange(1, 7))
    assert axes.get_yscale() == "log"
    legend = axes.get_legend()
    assert legend is not None
    assert "0.5 per iteration" in legend.get_texts()[0].get_text()


def test_a_report_without_repetitions_is_refused():
    with pytest.raises(ValueError, match="expected a report in which a step is rep"):
        plots.gradient_flow(explain(lambda x: x * x)(2.0))
