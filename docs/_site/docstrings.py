"""A Google-style docstring, whose text is Markdown, as MyST."""

import re
import textwrap
from collections.abc import Iterator

NAMES = (
    "Args Attributes Returns Raises Warns Derivative Shapes Torch References Examples"
)
HEADER = re.compile(rf"({'|'.join(NAMES.split())}):(?: (.*))?$")
LISTED = ("Args", "Attributes", "Raises", "Warns")
ITEM = re.compile(r"(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*): ")
PROMPT = re.compile(r"^( *)>>> .*(?:\n\1\S.*|\n\1 +.*)*", re.MULTILINE)


def as_myst(docstring: str) -> str:
    """The text, then the sections as a list of fields, then the examples."""
    text, examples = [], []
    fields: dict[str, str] = {}
    for name, body in _sections(docstring.splitlines()):
        if name == "Examples":
            examples.append(f"*Examples*\n\n{_fenced(body)}")
        elif name:
            fields[name] = _itemised(body) if name in LISTED else body
        else:
            text.append(_fenced(body))
    listed = "\n".join(field(name, body) for name, body in fields.items())
    return "\n\n".join([*text, listed, *examples])


def field(name: str, body: str) -> str:
    """One field of a list of fields."""
    return f":{name}:\n{textwrap.indent(_fenced(body), '    ')}\n"


def _sections(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The sections in order, with their names; the text around them has none."""
    name, body = "", []
    for line in lines:
        header = HEADER.match(line)
        ends = name and line and not line.startswith(" ") and not body[-1]
        if header or ends:
            yield name, _joined(body)
            name, body = (header[1], [header[2] or ""]) if header else ("", [line])
        else:
            body.append(line)
    yield name, _joined(body)


def _joined(lines: list[str]) -> str:
    first, rest = "\n".join(lines[:1]), "\n".join(lines[1:])
    return f"{first}\n{textwrap.dedent(rest)}".strip("\n")


def _itemised(body: str) -> str:
    """A list of names with their descriptions, or the prose as it is."""
    if not all(ITEM.match(x) for x in body.splitlines() if x and not x.startswith(" ")):
        return body
    return re.sub(rf"(?m)^{ITEM.pattern}", _item, body)


def _item(found: re.Match[str]) -> str:
    return f"- **{found[1].replace('*', chr(92) + '*')}**: "


def _fenced(body: str) -> str:
    """The same with each example in a block of code."""
    return PROMPT.sub(_fence, body)


def _fence(found: re.Match[str]) -> str:
    code = textwrap.indent(f"```pycon\n{textwrap.dedent(found[0])}\n```", found[1])
    return f"{code}\n"
