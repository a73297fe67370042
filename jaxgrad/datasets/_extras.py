"""Import a package of the `experiments` extra when it is needed."""

import importlib
from types import ModuleType


def require(function: str, module: str, package: str) -> ModuleType:
    """The module, or an ImportError from `function` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        raise ImportError(
            f"{function}: expected {package} to be installed, got {fault} instead; "
            'install it with: pip install "jaxgrad[experiments]"',
            name=module,
        ) from fault
