"""The error for an optional package that is not installed."""


def missing(
    function: str, package: str, fault: object, remedy: str = ""
) -> ImportError:
    """What `function` raises without `package`, with what to install."""
    remedy = remedy or (
        f"install it with: pip install {package}, or in a checkout of jaxgrad with all "
        'that the experiments need: pip install -e ".[experiments]"'
    )
    return ImportError(
        f"{function}: expected {package} to be installed, got {fault} instead; {remedy}"
    )
