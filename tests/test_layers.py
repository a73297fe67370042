"""Who may import whom: the arrows of the architecture, checked on every file.

Imports inside functions, under `TYPE_CHECKING` and by `importlib` count too. The checks
take the folder of the library, so that they also run on a small one with a breach.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "jaxgrad"
FILES = sorted(LIBRARY.rglob("*.py"))

GROUND = {"_types", "_checks", "_arguments", "_modules", "_guards", "_numerics"}
GROUND |= {"_archive", "_display", "_extras"}
# Each room, and the rooms that it may import besides itself.
ARROWS = {
    **dict.fromkeys(GROUND, GROUND),
    **dict.fromkeys(
        (
            "activations",
            "optimizers",
            "initializers",
            "differentiation",
            "gradcheck",
            "descent",
            "inspection",
            "datasets",
        ),
        GROUND,
    ),
    "losses": GROUND | {"activations"},
    "torch_state": GROUND | {"optimizers"},
    "training": GROUND | {"activations", "losses", "datasets", "inspection"},
}
ROOMS = set(ARROWS)
ARROWS["plots"] = ROOMS
ARROWS["__init__"] = ROOMS
# Inside `inspection`, each folder may import itself and those before it. The files
# beside the folders are the entry points, and may import all.
FLOORS = ("report", "program", "run", "torch_run", "faults", "comparison")

# What `importlib` imports by a name that is not written there.
COMPUTED = "a computed name"
EVERYWHERE = {"jaxgrad", "jax", "jaxlib", "optax", "jaxtyping", "numpy"}
EVERYWHERE |= sys.stdlib_module_names
ONLY_IN = {
    "matplotlib": ("plots", "inspection/report/raster.py"),
    "tensorflow_datasets": "datasets",
    "sklearn": "datasets",
    "torch": "inspection/torch_run/",
    COMPUTED: "datasets",
}


def imported(nodes):
    """The dotted names that some nodes of a syntax tree import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"imports must be absolute: {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).split(".")[-1]
            if name in {"import_module", "__import__"}:
                yield getattr(node.args[0], "value", COMPUTED)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """The dotted names that a file imports, wherever in it."""
    return imported(ast.walk(tree(path)))


def room(parts):
    """The first name below jaxgrad/, a module or a folder."""
    return parts[0].removesuffix(".py")


def floor(parts):
    """The height of a file or module of `inspection`; the entry points are on top."""
    return FLOORS.index(parts[1]) if parts[1] in FLOORS else len(FLOORS)


def breaches(path, library=LIBRARY):
    """The imports of a file that break a rule, as text."""
    relative = path.relative_to(library)
    here = room(relative.parts)
    if here not in ARROWS:
        yield f"{here} is not a room of the architecture"
        return
    for name in imports(path):
        top, *rest = name.split(".")
        allowed = relative.as_posix().startswith(ONLY_IN.get(top, "\0"))
        if top not in EVERYWHERE and not allowed:
            yield f"{here} must not import {name}"
        if name.startswith("jax._src"):
            yield f"{name} is private to JAX"
        if top != "jaxgrad" or not rest:
            continue
        there = room(rest)
        if there != here and there not in ARROWS[here]:
            yield f"{here} must not import {there}"
        elif here == there == "inspection" and len(rest) > 1:
            if floor(rest) > floor(relative.parts):
                yield f"{relative.as_posix()} must not import {name}"


def forbidden_calls(path):
    """print, config.update and NumPy's global generator, as text."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if (
                name == "print"
                or name.endswith("config.update")
                or (
                    name.startswith(("np.random.", "numpy.random."))
                    and not name.endswith("default_rng")
                )
            ):
                yield f"line {node.lineno}: {name}"


def module_of(name, library):
    """The file that an imported name of the library is in, or None."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        base = library.parent.joinpath(*parts[:length])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.exists():
                return file
    return None


def circles(library=LIBRARY):
    """The groups of files that import each other in a circle."""
    reached = {file: set() for file in library.rglob("*.py")}
    for file, others in reached.items():
        for name in imports(file):
            if name.split(".")[0] == library.name and (
                other := module_of(name, library)
            ):
                others |= {other} - {file}
    growing = True
    while growing:
        growing = False
        for others in reached.values():
            more = set().union(*(reached[other] for other in others)) - others
            others |= more
            growing |= bool(more)
    groups = {
        frozenset(other for other in others if file in reached[other])
        for file, others in reached.items()
        if file in others
    }
    return [
        sorted(file.relative_to(library).as_posix() for file in group)
        for group in groups
    ]


@pytest.fixture(scope="module")
def all_circles():
    return circles()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_a_file_keeps_to_the_architecture(path):
    assert list(breaches(path)) == []
    assert list(forbidden_calls(path)) == []


@pytest.mark.parametrize("name", sorted(ROOMS | {"plots"}))
def test_no_circle_of_imports_passes_through(name, all_circles):
    mine = [c for c in all_circles if any(room(Path(f).parts) == name for f in c)]
    assert mine == []


@pytest.mark.parametrize("folder", ["experiments", "benchmarks", "docs"])
def test_only_public_names_are_used_outside_the_library(folder):
    private = [
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imports(path)
        if name.split(".")[0] == "jaxgrad"
        and any(part.startswith("_") for part in name.split(".")[1:])
    ]
    assert private == []


def test_torch_is_imported_inside_a_function_only():
    users = [
        path.relative_to(LIBRARY).as_posix()
        for path in FILES
        if any(name.split(".")[0] == "torch" for name in imported(tree(path).body))
    ]
    assert users == []


def test_one_file_knows_how_jaxprs_are_built():
    users = [
        path.stem.strip("_")
        for path in FILES
        if any(name.startswith("jax.extend") for name in imports(path))
    ]
    assert users == ["jaxprs"]


@pytest.fixture
def library(tmp_path):
    """A library with one file in each of a few rooms, without a breach."""
    files = {
        "__init__.py": "from jaxgrad import losses as losses",
        "_checks.py": "import jax",
        "activations/__init__.py": "from jaxgrad._checks import f",
        "losses/__init__.py": "from jaxgrad.activations import f",
        "inspection/__init__.py": "from jaxgrad.inspection.explain import f",
        "inspection/explain.py": "from jaxgrad.inspection.run.tape import f",
        "inspection/run/tape.py": "from jaxgrad.inspection.report.data import f",
        "inspection/report/data.py": "import dataclasses",
        "inspection/torch_run/run.py": "def f():\n    import torch",
        "plots/__init__.py": "import matplotlib\nfrom jaxgrad.losses import f",
        "datasets/__init__.py": "def f():\n    import tensorflow_datasets, sklearn",
    }
    for name, text in files.items():
        file = tmp_path / "jaxgrad" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "jaxgrad"


def everything_wrong_with(library):
    """All that the checks find, as text."""
    files = sorted(library.rglob("*.py"))
    return [
        *(text for file in files for text in breaches(file, library)),
        *(text for file in files for text in forbidden_calls(file)),
        *map(str, circles(library)),
    ]


def test_a_library_without_a_breach_passes(library):
    assert everything_wrong_with(library) == []


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("activations/__init__.py", "from jaxgrad import optimizers", "optimizers"),
        ("optimizers.py", "from jaxgrad.activations import f", "activations"),
        ("_checks.py", "def f():\n    from jaxgrad import losses", "losses"),
        ("datasets/__init__.py", "from jaxgrad.training import fit", "training"),
        ("losses/__init__.py", "from jaxgrad.plots import f", "plots"),
        ("mnist/__init__.py", "", "not a room"),
        ("inspection/report/data.py", "from jaxgrad.inspection.run import f", "run"),
        ("inspection/run/tape.py", "import jaxgrad.inspection.faults.zero", "faults"),
        ("inspection/faults/zero.py", "from jaxgrad.inspection import explain", "expl"),
        ("losses/a.py", "from jax._src import core", "private"),
        ("losses/a.py", "import flax.linen", "flax"),
        ("losses/a.py", "def f():\n    import matplotlib.pyplot", "matplotlib"),
        ("training/a.py", "import tensorflow_datasets", "tensorflow_datasets"),
        ("training/a.py", "from sklearn import datasets", "sklearn"),
        ("inspection/explain.py", "def f():\n    import torch", "torch"),
        ("losses/a.py", "import importlib\nimportlib.import_module('torch')", "torch"),
        ("losses/a.py", "__import__(name)", "computed"),
        ("losses/a.py", "import experiments", "experiments"),
        ("losses/a.py", "print()", "print"),
        ("losses/a.py", "import jax\njax.config.update('x', 1)", "config.update"),
        ("losses/a.py", "import numpy as np\nnp.random.rand()", "np.random.rand"),
        (
            "inspection/run/tape.py",
            "from jaxgrad.inspection.run import other",
            "inspection/run/tape.py",
        ),
    ],
)
def test_a_planted_breach_is_found(library, file, text, found):
    path = library / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if "other" in text:
        other = library / "inspection" / "run" / "other.py"
        other.write_text("def f():\n    import jaxgrad.inspection.run.tape")
    assert any(found in wrong for wrong in everything_wrong_with(library))
