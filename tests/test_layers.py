"""Who may import whom: walks the imports of every file of the library."""

import ast
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "jaxgrad"
FILES = sorted(LIBRARY.rglob("*.py"))

# The map of ARCHITECTURE: a module may import what stands in a lower layer.
L0 = {"_types", "_checks", "_arguments", "_numerics"}
L1 = {
    "differentiation",
    "gradcheck",
    "activations",
    "optimizers",
    "initializers",
    "inspection",
    "descent",
}
L2 = {"losses"}
L3 = {"mnist", "plots"}
MAY_IMPORT = (
    dict.fromkeys(L0, L0)
    | dict.fromkeys(L1, L0)
    | {"losses": L0 | {"activations"}}
    | dict.fromkeys(L3, L0 | L1 | L2 | L3)
    | {"__init__": L1 | L2}
)
EXTRAS = {
    "flax",
    "orbax",
    "tqdm",
    "tensorflow_datasets",
    "sklearn",
    "matplotlib",
    "PIL",
    "tyro",
}
NEVER = {"torch", "tensorflow", "jax._src", "experiments", "tests", "benchmarks"}
CORE = {"jax", "jaxlib", "optax", "jaxtyping", "numpy", "jaxgrad"}


def room(path):
    """The first name below jaxgrad/: a module or a package."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(path):
    """Every import of `path` that the map forbids, as text."""
    here = room(path)
    for name in imports(path):
        top = name.split(".")[0]
        if top in NEVER or name.startswith("jax._src"):
            yield f"{name} must not be imported by the library"
        if top in EXTRAS and here not in L3:
            yield f"{name} is an extra: only mnist and plots may import it"
        if top == "jaxgrad" and "." in name:
            there = name.split(".")[1]
            if there != here and there not in MAY_IMPORT[here]:
                yield f"{here} must not import {there}"


def forbidden_calls(path):
    """print, jax.config.update and NumPy's global generator, as text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"print", "jax.config.update"} or (
                name.startswith(("np.random.", "numpy.random."))
                and not name.endswith("default_rng")
            ):
                yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LIBRARY)))
def test_library_file_keeps_to_its_layer(path):
    assert list(breaches(path)) == []
    assert list(forbidden_calls(path)) == []


def test_every_room_of_the_library_is_on_the_map():
    assert {room(path) for path in FILES} <= set(MAY_IMPORT)


def test_one_file_knows_how_jaxprs_are_built():
    users = [
        path.name
        for path in FILES
        if any(name.startswith("jax.extend") for name in imports(path))
    ]
    assert users == ["_jaxprs.py"]


def test_a_breach_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_layers.LIBRARY", tmp_path)
    bad = tmp_path / "activations.py"
    bad.write_text("import torch\nimport flax.nnx\nfrom jaxgrad import losses\nprint()")
    assert len(list(breaches(bad))) == 3
    assert len(list(forbidden_calls(bad))) == 1
