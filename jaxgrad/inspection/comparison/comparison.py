"""A comparison that can show itself."""

from jaxgrad.inspection.comparison.result import Findings


class Comparison(Findings):
    """Two reports side by side: prints as a verdict and a table of aligned steps."""
