"""Run the Python blocks of a page of Markdown, in order, as one session.

A block that starts with `# name.py` becomes a file that the session imports. Every
other block shows what it prints: `>>> ...`.
"""

import doctest
import re
import sys
from pathlib import Path

import jax

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FILE = re.compile(r"# (\w+)\.py\n")


def check(page: Path, folder: Path, monkeypatch):
    """Raise unless every block of a page prints what it says."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "88")
    files = {name[1]: block for block in blocks if (name := FILE.match(block))}
    for name, block in files.items():
        (folder / f"{name}.py").write_text(block, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    run([block for block in blocks if block not in files.values()], page.stem)


def run(blocks, name):
    """Raise unless each block has examples that print what they say."""
    examples = [doctest.DocTestParser().get_examples(block) for block in blocks]
    assert blocks and all(examples), "a block shows what it prints: >>> ..."
    session = doctest.DocTest(
        [example for block in examples for example in block],
        globs={}, name=name, filename=name, lineno=0, docstring=None,
    )  # fmt: skip
    failures: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    with jax.numpy_dtype_promotion("standard"):  # a reader's session is not strict
        runner.run(session, out=failures.append)
    assert not failures, "".join(failures)
