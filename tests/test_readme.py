"""Every Python block of the README runs, in order, and prints what it says."""

import doctest
import re
from pathlib import Path

import jax

README = Path(__file__).parents[1] / "README.md"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def is_file(block, folder):
    """Write a block that starts with `# name.py` as the file that sessions import."""
    name = re.match(r"# (\w+\.py)\n", block)
    if name:
        (folder / name[1]).write_text(block)
    return bool(name)


def test_readme_blocks(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    blocks = [block for block in blocks if not is_file(block, tmp_path)]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "88")
    examples = [doctest.DocTestParser().get_examples(block) for block in blocks]
    assert len(blocks) >= 3 and all(examples), "a block shows what it prints: >>> ..."
    session = doctest.DocTest(
        [example for block in examples for example in block],
        globs={}, name="README", filename="README.md", lineno=0, docstring=None,
    )  # fmt: skip
    failures: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    with jax.numpy_dtype_promotion("standard"):  # a reader's session is not strict
        runner.run(session, out=failures.append)
    assert not failures, "".join(failures)
