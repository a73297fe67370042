"""A report as HTML: for a notebook's cell, or as one page that needs nothing else."""

import zlib
from html import escape

from jaxgrad.inspection._format import (
    argument_row,
    headline,
    place,
    rows_of,
)
from jaxgrad.inspection._marks import MEANING, Marks, has_nonfinite, marks
from jaxgrad.inspection._steps import Explanation, Step
from jaxgrad.inspection._svg import svg
from jaxgrad.inspection._text import blame_text

HEADER = ("#", "name", "operation", "type", "value", "gradient", "mark", "source")

STYLE = """
.jaxgrad { font: 13px/1.45 system-ui, sans-serif; color: #0f172a; background: #fff; }
.jaxgrad h1 { font-size: 1.15rem; margin: 0 0 .6rem; }
.jaxgrad .graph { overflow: auto; max-height: 70vh; border: 1px solid #e2e8f0;
  border-radius: 6px; background: #fff; }
.jaxgrad .fit { font-size: 12px; color: #475569; }
.jaxgrad input:checked ~ .graph svg { width: 100%; height: auto; }
.jaxgrad .scroll { overflow-x: auto; }
.jaxgrad table { border-collapse: collapse; margin-top: 1rem;
  font: 12px ui-monospace, Menlo, Consolas, monospace; }
.jaxgrad th, .jaxgrad td { text-align: left; padding: .18rem .7rem; white-space: nowrap;
  border-bottom: 1px solid #e2e8f0; background: none; color: inherit; }
.jaxgrad th { background: #f1f5f9; }
.jaxgrad td.gradient { color: #1d4ed8; }
.jaxgrad tr.argument td { background: #eff6ff; }
.jaxgrad tr.result td { background: #ecfdf5; }
.jaxgrad tr.dead td { background: #e2e8f0; }
.jaxgrad tr.exploding td { background: #ffedd5; }
.jaxgrad tr.non-finite td { background: #fee2e2; }
.jaxgrad tr.chosen td { outline: 2px solid #f59e0b; outline-offset: -2px; }
.jaxgrad .source { color: #475569; }
.jaxgrad pre { background: #fee2e2; padding: .6rem .8rem; border-radius: 6px;
  overflow-x: auto; }
.jaxgrad dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem;
  margin: .8rem 0; }
.jaxgrad dt { font-weight: 600; } .jaxgrad dd { margin: 0; }
.jaxgrad-card { position: fixed; display: none; z-index: 9; max-width: 46rem;
  padding: .5rem .7rem; white-space: pre-wrap; background: #0f172a; color: #f8fafc;
  border-radius: 6px; font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace;
  pointer-events: none; box-shadow: 0 4px 14px rgb(0 0 0 / .3); }
.jaxgrad-graph .edge.lit { stroke: #f59e0b; stroke-width: 2.4; }
"""

# A card at the pointer, the edges of a node lit, and its row of the table on a click.
SCRIPT = """
const card = document.querySelector(".jaxgrad-card");
for (const node of document.querySelectorAll(".jaxgrad-graph g.node")) {
  node.querySelector("title").remove();
  const edges = [...document.querySelectorAll(".jaxgrad-graph .edge")].filter(
    edge => edge.dataset.ends.split(" ").includes(node.id));
  const show = (x, y) => {
    card.textContent = node.dataset.more;
    card.style.display = "block";
    const wide = card.offsetWidth, high = card.offsetHeight;
    card.style.left = Math.max(4, Math.min(x + 14, innerWidth - wide - 8)) + "px";
    card.style.top = Math.max(4, Math.min(y + 14, innerHeight - high - 8)) + "px";
    edges.forEach(edge => edge.classList.add("lit"));
  };
  const hide = () => {
    card.style.display = "none";
    edges.forEach(edge => edge.classList.remove("lit"));
  };
  node.addEventListener("mousemove", event => show(event.clientX, event.clientY));
  node.addEventListener("mouseleave", hide);
  node.addEventListener("focus", () => {
    const box = node.getBoundingClientRect();
    show(box.right, box.top);
  });
  node.addEventListener("blur", hide);
  node.addEventListener("click", () => {
    document.querySelectorAll(".chosen").forEach(row => row.classList.remove("chosen"));
    const row = document.getElementById("row-" + node.id);
    if (row) {
      row.classList.add("chosen");
      row.scrollIntoView({ block: "center" });
    }
  });
}
"""


def page(report: Explanation) -> str:
    """One self-contained page: nothing is fetched, and it works offline."""
    title = escape(f"{report.name} explained")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title>'
        f"<style>body {{ margin: 1.2rem; background: #fff; }}</style></head><body>\n"
        f'{_body(report, "")}\n<div class="jaxgrad-card" role="tooltip"></div>\n'
        f"<script>{SCRIPT}</script>\n</body></html>\n"
    )


def fragment(report: Explanation) -> str:
    """The same for a notebook: no script, since notebooks may refuse to run it."""
    checksum = zlib.crc32(str(report).encode())
    return _body(report, f"r{checksum:x}-")


def _body(report: Explanation, prefix: str) -> str:
    found = marks(report)
    return (
        f'<div class="jaxgrad"><style>{STYLE}</style>'
        f"<h1>{escape(headline(report))}</h1>\n{_remarks(report, found)}"
        f'<input type="checkbox" id="{prefix}fit"> <label class="fit" '
        f'for="{prefix}fit">fit the graph to the width</label>'
        f'<div class="graph">{svg(report, prefix)}</div>\n'
        f'<div class="scroll"><table>{_table(report, found, prefix)}</table></div></div>'
    )


def _remarks(report: Explanation, found: Marks) -> str:
    named = dict.fromkeys(mark for each in found.values() for mark in each)
    parts = []
    if report.note:
        parts.append(f"<p>{escape(report.note)}</p>")
    if has_nonfinite(report) and report.nonfinite is not None:
        parts.append(f"<pre>{escape(blame_text(report.nonfinite))}</pre>")
    if named:
        items = (f"<dt>{m}</dt><dd>{escape(MEANING[m])}</dd>" for m in named)
        parts.append(f"<dl>{''.join(items)}</dl>")
    return "\n".join(parts)


def _table(report: Explanation, found: Marks, prefix: str) -> str:
    head = "".join(f"<th>{title}</th>" for title in HEADER)
    rows = [f"<thead><tr>{head}</tr></thead><tbody>"]
    for argument in report.arguments:
        path, kind, value, gradient = argument_row(argument)
        cells = ("", path, "argument", kind, value, gradient, "", "")
        key = f"{prefix}argument-{argument.index}"
        rows.append(_row(key, "argument", cells))
    for step in report.steps:
        rows += _step(step, report, found.get(step.index, ()), prefix)
    return "\n".join([*rows, "</tbody>"])


def _step(step: Step, report: Explanation, marked: tuple[str, ...], prefix: str):
    kind = "result" if step.index == report.result else "step"
    source = f"{place(step.source)}  {step.source.text}"
    ahead = (str(step.index), step.operation, " ".join(marked), source)
    for i, (name, form, value, gradient) in enumerate(rows_of(step)):
        index, operation, mark, line = ahead if i == 0 else ("", "", "", "")
        cells = (index, name, operation, form, value, gradient, mark, line)
        key = f"{prefix}step-{step.index}" if i == 0 else ""
        yield _row(key, " ".join((kind, *marked)), cells)


def _row(key: str, classes: str, cells: tuple[str, ...]) -> str:
    anchor = f' id="row-{key}"' if key else ""
    tags = "".join(
        f'<td class="{title.strip("#") or "index"}">{escape(cell)}</td>'
        for title, cell in zip(HEADER, cells, strict=True)
    )
    return f'<tr{anchor} class="{escape(classes)}">{tags}</tr>'
