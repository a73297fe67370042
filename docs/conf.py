"""The site: `python -m sphinx -W -b html docs docs/_build/html`.

The lessons' notebooks run at every build; `-D nb_execution_mode=off` leaves them alone.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import jaxgrad  # noqa: E402
from docs._site.maths import FONT  # noqa: E402

project = "jaxgrad"
author = "The jaxgrad developers"
version = release = jaxgrad.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docs._site.accessible",
    "docs._site.api",
    "docs._site.graph",
    "docs._site.links",
    "docs._site.maths",
]
exclude_patterns = ["_build", "_site", "ledger", "lessons/*/*.md"]
myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 3
smartquotes = False  # "none" is a string of Python

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

html_theme = "furo"
html_title = "jaxgrad"
html_math_renderer = "mathml"
html_static_path = ["_static", str(FONT)]
html_css_files = ["site.css"]
html_js_files = ["offline.js"]
html_copy_source = False
html_show_copyright = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True


def link_inside(app: Any, page: str, source: list[str]) -> None:
    """Lead a link to the file beside the folder `docs` to its page."""
    source[0] = source[0].replace("(../CONTRIBUTING.md)", "(contributing.md)")


def set_language(app: Any, page: str, template: str, context: Any, tree: Any) -> None:
    """Tell browsers and screen readers which pages are Japanese."""
    if page.startswith(("lessons/notebooks/ja/", "lessons_ja")):
        context["language"] = "ja"


def setup(app: Any) -> None:
    """Register the two functions."""
    app.connect("source-read", link_inside)
    app.connect("html-page-context", set_language)
