"""The pictures and reports of an experiment's folder, and what the page says."""

import base64
import io
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

CAPTIONS = Path(__file__).with_name("captions.toml")
LARGE = 100_000  # bytes; a larger PNG is reduced to 128 colours


class Picture(NamedTuple):
    name: str
    caption: str
    alt: str
    address: str  # a data URI
    size: tuple[int, int]


class Report(NamedTuple):
    name: str
    caption: str
    page: str


class Shown(NamedTuple):
    """What the page shows of one experiment."""

    name: str
    title: str
    about: str
    pictures: list[Picture]
    reports: list[Report]
    printed: str  # what it has printed, if the run kept it


@cache
def captions() -> dict[str, Any]:
    return tomllib.loads(CAPTIONS.read_text(encoding="utf-8"))


def shown(experiment: str, folder: Path) -> Shown:
    """The files of an experiment that has run, in the order of the captions."""
    texts = captions().get(experiment, {})
    order = texts.get("captions", {})
    title, about = texts.get("title", experiment), texts.get("about", "")
    drawn = [
        _picture(path, sentence, texts.get("alt", {}))
        for path, sentence in _ordered(folder.glob("*.png"), order)
    ]
    reports = [
        Report(path.stem, sentence, path.read_text(encoding="utf-8"))
        for path, sentence in _ordered(folder.glob("*.html"), order)
        if path.name != "index.html"
    ]
    kept = folder / "report.txt"
    printed = kept.read_text(encoding="utf-8").strip() if kept.exists() else ""
    return Shown(experiment, title, about, drawn, reports, printed)


def _ordered(
    files: Iterator[Path], sentences: Mapping[str, str]
) -> list[tuple[Path, str]]:
    """The files with their sentences; one without a sentence is last, by its name."""
    patterns = list(sentences)

    def place(path: Path) -> tuple[int, str]:
        pattern = _pattern(path.stem, patterns)
        return (patterns.index(pattern) if pattern else len(patterns)), path.stem

    return [(path, text_for(path.stem, sentences)) for path in sorted(files, key=place)]


def text_for(name: str, texts: Mapping[str, str]) -> str:
    """The text of a name, or of the first pattern that it matches."""
    pattern = _pattern(name, texts)
    if pattern is None:
        return name.replace("_", " ")
    stars = name[len(pattern) - 1 :] if pattern.endswith("*") else name
    return texts[pattern].replace("{name}", stars.replace("_", " "))


def _pattern(name: str, patterns: Any) -> str | None:
    return next((p for p in patterns if fnmatchcase(name, p)), None)


def _picture(path: Path, sentence: str, alts: Mapping[str, str]) -> Picture:
    """The SVG beside a PNG if there is one, else the PNG."""
    drawing = path.with_suffix(".svg")
    with Image.open(path) as image:
        size = image.size
    kind, content = (
        ("svg+xml", drawing.read_bytes()) if drawing.exists() else ("png", _small(path))
    )
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(path.stem, sentence, text_for(path.stem, alts), address, size)


def _small(path: Path) -> bytes:
    content = path.read_bytes()
    if len(content) <= LARGE:
        return content
    with Image.open(path) as image, io.BytesIO() as buffer:
        image.convert("RGB").quantize(128).save(buffer, "png", optimize=True)
        return min(content, buffer.getvalue(), key=len)
