"""Import an optional package when it is needed."""

import importlib
from types import ModuleType

_REMEDY = 'install it with: pip install "jaxgrad[experiments]"'


def require(
    function: str, module: str, package: str, remedy: str = _REMEDY
) -> ModuleType:
    """The module, or an ImportError from `function` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        raise ImportError(
            f"{function}: expected {package} to be installed, got {fault} instead; "
            f"{remedy}",
            name=module,
        ) from fault
