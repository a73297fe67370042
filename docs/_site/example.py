"""The example of the start page, which shows both functions and the graph."""

import jaxgrad


def loss(w1, b1, w2, b2, x):
    """Two layers of one unit each."""
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y**2


def report():
    """Every value and gradient in it."""
    return jaxgrad.explain(loss, argnums=(0, 1, 2, 3))(2.0, -10.0, 4.0, 7.0, 3.0)
