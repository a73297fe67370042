"""`{api} module`: a module's public names, with their docstrings read as Markdown."""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import jaxgrad
from docs._site.docstrings import as_myst, field
from docs._site.names import Name, class_body, comment, public_names

PAGES = Path(__file__).parents[1] / "api"


def page(module: ModuleType) -> str:
    """The docstring of a module, a table of its names, and what each of them is."""
    names = public_names(module)
    here = [name for name in names if home(name) == module.__name__]
    parts = [
        directive("py:module", module.__name__),
        as_myst(inspect.getdoc(module) or ""),
        summary(names),
        *map(described, here),
    ]
    return "\n\n".join(parts)


def home(name: Name) -> str:
    """The module on whose page a name is described: `jaxgrad` if it is there."""
    same = getattr(jaxgrad, name.name, None) is name.value
    return "jaxgrad" if same else name.module


def summary(names: list[Name]) -> str:
    """A table of the names with the first lines of their docstrings."""
    rows = (
        f"* - {{py:obj}}`{name.name} <{home(name)}.{name.name}>`\n"
        f"  - {name.text.partition(chr(10))[0]}"
        for name in names
    )
    return directive("list-table", "", "\n".join(rows), ":widths: auto")


def described(name: Name) -> str:
    """The entry of a name."""
    options = f":module: {name.module}"
    if isinstance(name.statement, ast.FunctionDef):
        head = f"{name.name}{signature(name.statement)}"
        return directive("py:function", head, as_myst(name.text), options)
    if isinstance(name.statement, ast.ClassDef):
        body = "\n\n".join([*text_of_class(name), *members(name.value)])
        return directive("py:class", f"{name.name}{fields(name.value)}", body, options)
    return directive("py:data", name.name, as_myst(name.text), options)


def fields(cls: type) -> str:
    """The arguments of a named tuple, which users may call; of other classes none."""
    defaults = getattr(cls, "_field_defaults", {})
    names = (f"{x}=..." if x in defaults else x for x in getattr(cls, "_fields", ()))
    arguments = ", ".join(names)
    return f"({arguments})" if arguments else ""


def text_of_class(name: Name) -> Iterator[str]:
    """The docstring; if it does not list the attributes, also these."""
    text = as_myst(name.text)
    yield text
    attributes = "\n".join(
        f"- **{attribute}**: {remark}".removesuffix(": ")
        for attribute, remark in attributes_of(name.value)
    )
    if attributes and ":Attributes:" not in text:
        yield field("Attributes", attributes)


def attributes_of(cls: type) -> Iterator[tuple[str, str]]:
    """The public fields of a class with their comments."""
    for file, statement in class_body(cls):
        if isinstance(statement, ast.AnnAssign):
            attribute = ast.unparse(statement.target)
            if not attribute.startswith("_"):
                yield attribute, comment(file, statement)


def members(cls: type) -> Iterator[str]:
    """The entries of the public methods and properties that have a docstring."""
    for _, node in class_body(cls):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        text = as_myst(ast.get_docstring(node) or "")
        decorators = " ".join(map(ast.unparse, node.decorator_list))
        if text and "property" in decorators:
            yield directive("py:property", node.name, text)
        elif text:
            head = f"{node.name}{signature(node, bound=True)}"
            yield directive("py:method", head, text)


def signature(node: ast.FunctionDef, bound: bool = False) -> str:
    """The signature as it is written; `bound` leaves out `self`."""
    arguments = ast.unparse(node.args)
    if bound:
        arguments = arguments.partition(", ")[2]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({arguments}){returns}"


def directive(name: str, head: str, body: str = "", *options: str) -> str:
    """A directive of MyST, in a fence longer than those in its body."""
    fence = "`" * 3
    while fence in body:
        fence += "`"
    return "\n".join([f"{fence}{{{name}}} {head}".rstrip(), *options, "", body, fence])


def link_types(head: addnodes.desc_signature) -> None:
    """Link the names in a signature that are public here, and no others."""
    entry = resolve_name(f"{head['module']}:{head['fullname']}")
    where = vars(sys.modules[getattr(inspect.unwrap(entry), "__module__", "builtins")])
    for reference in list(head.findall(addnodes.pending_xref)):
        meant = where.get(reference["reftarget"])
        if inspect.isclass(meant) and id(meant) in classes():
            reference["reftarget"] = classes()[id(meant)]
        else:
            reference.replace_self(reference.children)


@cache
def all_names() -> list[Name]:
    """The public names of all modules that have a page."""
    modules = (page.stem for page in PAGES.glob("jaxgrad*.md"))
    return [name for module in modules for name in public_names(resolve_name(module))]


@cache
def classes() -> dict[int, str]:
    """The full names of the public classes, by identity."""
    return {id(name.value): f"{home(name)}.{name.name}" for name in all_names()}


@cache
def homes(file: Path) -> set[str]:
    """The modules that describe something of a file."""
    return {home(name) for name in all_names() if name.file == file}


class Api(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the page as a part of the document."""
        module = resolve_name(self.arguments[0])
        names = {name.name: name for name in public_names(module)}
        for name in names.values():
            self.env.note_dependency(str(name.file))
        lines = StringList(page(module).splitlines(), source=self.arguments[0])
        container = nodes.Element()
        self.state.nested_parse(lines, 0, container)
        for head in container.findall(addnodes.desc_signature):
            link_types(head)
            # The source of a file links back as if all of it were in one module.
            file = names[head["fullname"].partition(".")[0]].file
            ids = {f"{module}.{head['fullname']}" for module in homes(file)}
            head["ids"] += sorted(ids - {*head["ids"]})
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("api", Api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
