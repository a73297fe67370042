"""docs/architecture.md shows the tree as it is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def shown():
    """The paths of the page's tree."""
    block = re.search(r"## The tree\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    parents: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parents[depth:] = [name.rstrip("/")]
        yield "/".join(parents) + ("/" if name.endswith("/") else "")


def python_in(folder):
    """The Python files and packages of a folder, as the page writes them."""
    for path in sorted((ROOT / folder).iterdir()):
        if path.is_dir() and list(path.glob("*.py")):
            yield f"{folder}{path.name}/"
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield f"{folder}{path.name}"


def test_everything_on_the_page_exists():
    missing = [path for path in shown() if not (ROOT / path).exists()]
    assert not missing


def test_the_page_leaves_nothing_out():
    """A folder with one entry on the page is on it with all of its Python files."""
    paths = set(shown())
    opened = {f"{path.rstrip('/').rpartition('/')[0]}/" for path in paths} - {"/"}
    assert {"jaxgrad/", "jaxgrad/inspection/", "jaxgrad/inspection/run/"} <= opened
    left_out = {file for folder in opened for file in python_in(folder)} - paths
    assert not left_out


def test_every_path_that_the_page_mentions_exists():
    code = set(re.findall(r"`([a-z_]+/[a-z_/]*\.?[a-z]*|[a-z_]+\.py)`", PAGE))
    assert len(code) > 15
    folders = ["", "jaxgrad/", "jaxgrad/inspection/", "jaxgrad/inspection/faults/"]
    missing = [c for c in code if not any((ROOT / f / c).exists() for f in folders)]
    assert not missing
