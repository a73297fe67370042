"""pyproject.toml declares what is imported, and nothing else."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"jaxgrad", "experiments", "tests", "benchmarks", "docs"}
# The import names of distributions that are named otherwise.
MODULES = {
    "scikit-learn": "sklearn",
    "tensorflow-datasets": "tensorflow_datasets",
    "pillow": "PIL",
    "axe-playwright-python": "axe_playwright_python",
}
# Needed without an import in this repository, and why.
NOT_IMPORTED = {
    "jaxlib": "jax runs on it",
    "importlib-resources": "tensorflow-datasets imports it without declaring it",
    "equinox": "tests/test_modules.py skips without it",
    "expecttest": "torch.testing imports it without declaring it",
    "pytest-xdist": "the tests run in parallel",
    "beartype": "the tests check signatures with it at run time",
    "jupyterlab": "tests/test_jupyterlab.py starts it",
    "ipykernel": "nbclient and myst-nb run notebooks in it",
    "furo": "docs/conf.py names it",
    "myst-nb": "docs/conf.py names it",
    "sphinx-copybutton": "docs/conf.py names it",
}
# Imported only if it is installed, and why it is in no extra.
NOT_DECLARED = {
    "tensorflow": "an error says that tfrecord needs it; it is large",
    "array_record": "tensorflow-datasets brings it where it has wheels",
}


def imported(*folders):
    """The top-level modules that folders import, except Python's and our own."""
    found = set()
    for path in (p for folder in folders for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "require":
                if path.is_relative_to(ROOT / "jaxgrad" / "datasets"):
                    found.add(ast.literal_eval(node.args[1]).split(".")[0])
    return found - OURS - sys.stdlib_module_names - NOT_DECLARED.keys()


def declared(*extras):
    """The import names of the core's dependencies and those of some extras."""
    listed = [*PROJECT["dependencies"], *(d for e in extras for d in EXTRAS[e])]
    names = {re.split(r"[\[<>=]", line)[0] for line in listed} - {"jaxgrad"}
    assert names >= {"jax", "numpy"}
    return {MODULES.get(name, name) for name in names - NOT_IMPORTED.keys()}


@pytest.mark.parametrize(
    "folders, extras, asked_for",
    [
        # Whoever calls explain_torch has torch; its error says how to install it. The
        # field tests' table has columns of two tools, and keeps them without the tools.
        (["jaxgrad", "experiments"], ["experiments"], {"torch"}),
        (
            ["jaxgrad", "experiments", "tests"],
            ["experiments", "test", "parity", "browser"],
            {"brainstate", "torchlens"},
        ),
        (
            ["jaxgrad", "experiments", "tests", "docs"],
            ["experiments", "test", "parity", "browser", "docs"],
            {"brainstate", "torchlens", "equinox"},
        ),
    ],
)
def test_what_is_imported_is_declared_and_the_other_way_round(
    folders, extras, asked_for
):
    assert imported(*folders) == declared(*extras) | asked_for


def test_the_extras_that_are_only_commands_are_few():
    commands = {re.split(r"[\[<>=]", line)[0] for line in EXTRAS["dev"]} - {"jaxgrad"}
    assert commands == {"ruff", "pyright", "pre-commit", "build"}
