"""Every Python block of the quickstart and the guides prints what it says."""

from pathlib import Path

import pytest

from tests import documents

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["quickstart.md", "guides/wrong_gradient.md", "guides/surviving.md"]
PAGES += ["scaling.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_prints_what_it_says(page, tmp_path, monkeypatch):
    documents.check(DOCS / page, tmp_path, monkeypatch)


@pytest.mark.parity
def test_the_guide_to_porting_agrees_with_torch(tmp_path, monkeypatch):
    documents.check(DOCS / "guides" / "porting.md", tmp_path, monkeypatch)


def test_every_guide_is_run():
    guides = {f"guides/{path.name}" for path in (DOCS / "guides").glob("*.md")}
    elsewhere = {"guides/porting.md", "guides/change_an_experiment.md"}
    assert guides <= {*PAGES, *elsewhere}  # the last in tests/test_newcomer.py
