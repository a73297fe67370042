"""The error for an optional package that is not installed."""


def missing(
    function: str, package: str, fault: object, remedy: str = ""
) -> ImportError:
    """The error that `function` raises without `package`; it says what to install."""
    remedy = remedy or (
        f"install it with: pip install {package}, or in a checkout of jaxgrad with all "
        'that the experiments need: pip install -e ".[experiments]"'
    )
    return ImportError(
        f"{function}: expected {package} to be installed, got {fault} instead; {remedy}"
    )
