"""Matplotlib figures of what the library computes; needs `pip install matplotlib`.

Every function returns a `matplotlib.figure.Figure` and changes no global state: a
notebook displays the figure, a script calls `savefig`.
"""

from importlib.util import find_spec as _find_spec

from jaxgrad._extras import missing as _missing

if _find_spec("matplotlib") is None:
    raise _missing("jaxgrad.plots", "matplotlib", "no module of that name")

from jaxgrad.plots._activations import Curve as Curve
from jaxgrad.plots._activations import Kink as Kink
from jaxgrad.plots._activations import activation_card as activation_card
from jaxgrad.plots._activations import activation_curve as activation_curve
from jaxgrad.plots._activations import curve_card as curve_card
from jaxgrad.plots._activations import overview as overview
from jaxgrad.plots._classification import class_accuracy as class_accuracy
from jaxgrad.plots._classification import confusion as confusion
from jaxgrad.plots._classification import gallery as gallery
from jaxgrad.plots._colours import OKABE_ITO as OKABE_ITO
from jaxgrad.plots._curves import broken as broken
from jaxgrad.plots._curves import curves as curves
from jaxgrad.plots._descent import contours as contours
from jaxgrad.plots._descent import paths as paths
from jaxgrad.plots._descent import sensitivity as sensitivity
from jaxgrad.plots._descent import surface as surface
from jaxgrad.plots._flow import gradient_flow as gradient_flow
from jaxgrad.plots._watched import watched as watched
