"""Every Python block of the README runs, in order, and prints what it says."""

from pathlib import Path

from tests import documents


def test_readme_blocks(tmp_path, monkeypatch):
    readme = Path(__file__).parents[1] / "README.md"
    documents.check(readme, tmp_path, monkeypatch)
