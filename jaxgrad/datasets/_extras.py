"""Import an optional package when it is needed."""

import importlib
from types import ModuleType

from jaxgrad._extras import missing


def require(function: str, module: str, package: str, remedy: str = "") -> ModuleType:
    """The module, or an ImportError from `function` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        error = missing(function, package, fault, remedy)
        error.name = module
        raise error from fault
