"""A table and a note as HTML for a notebook's cell.

They inherit the colours around them, and tint rows by transparent colours, so they fit
every theme; where a notebook removes the style, a plain table remains.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from html import escape
from importlib import resources

from jaxgrad._display.text import plain


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    bad: Collection[int] = (),
) -> str:
    """A sentence and a table below it; the rows numbered in `bad` are red."""
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in columns)
    body = "\n".join(
        f"<tr{_class(i in bad)}>{''.join(map(_cell, row))}</tr>"
        for i, row in enumerate(rows)
    )
    first = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    return _framed(
        f"<p>{_text(title)}</p>\n<table>{first}<tbody>\n{body}\n</tbody></table>"
    )


def note(text: str, bad: bool = False) -> str:
    """Lines of text as they are printed; red if something is wrong."""
    return _framed(f"<pre{_class(bad)}>{escape(text)}</pre>")


def _cell(cell: object) -> str:
    return f"<td>{_text(cell)}</td>"


def _text(cell: object) -> str:
    return escape(plain(str(cell), 1000))


def _class(bad: bool) -> str:
    return ' class="bad"' if bad else ""


def _framed(content: str) -> str:
    return f'<div class="jaxgrad-shown"><style>\n{_style()}</style>\n{content}</div>'


@cache
def _style() -> str:
    file = resources.files("jaxgrad._display").joinpath("display.css")
    return file.read_text(encoding="utf-8")
