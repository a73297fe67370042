"""A figure that a notebook shows by itself, whether or not pyplot is in use."""

from io import BytesIO

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A figure that is a picture as the last expression of a cell.

    Matplotlib registers a printer for figures with IPython only under `%matplotlib
    inline`. IPython then prefers that printer, and the cell still shows one picture:
    pyplot does not know these figures.
    """

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()
