"""Import a package of the `experiments` extra when it is needed."""

import importlib
from types import ModuleType


def require(function: str, module: str, package: str) -> ModuleType:
    """The module, or an ImportError that says what to install.

    Args:
        function: The public function that needs it, for the message.
        module: The name to import.
        package: The name to install, for the message.
    """
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        raise ImportError(
            f"{function}: expected {package} to be installed, got {fault} instead; "
            'install it with: pip install "jaxgrad[experiments]"',
            name=module,
        ) from fault
