"""Every Python block of the README runs, prints and draws what it says, in order."""

from pathlib import Path

from tests import documents

README = Path(__file__).parents[1] / "README.md"
PICTURE = README.parent / "docs" / "images" / "loss.svg"


def test_readme_blocks(tmp_path, monkeypatch):
    documents.check(README, tmp_path, monkeypatch)
    drawn = (tmp_path / "loss.svg").read_text(encoding="utf-8")
    assert drawn == PICTURE.read_text(encoding="utf-8"), "copy the README's loss.svg"


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150
