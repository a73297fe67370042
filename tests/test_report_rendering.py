"""How reports are rendered, on reports built by hand."""

import itertools
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad.inspection import Argument, Blame, Explanation, Operand, Source, Step
from jaxgrad.inspection.report.arrangement import arrange
from jaxgrad.inspection.report.drawing import drawing_of
from jaxgrad.inspection.report.format import type_text
from jaxgrad.inspection.report.layout import Size, lay_out
from jaxgrad.inspection.report.marks import marks
from jaxgrad.inspection.report.page import page
from jaxgrad.inspection.report.text import blame_text, text


def source(line, text):
    return Source("/home/user/loss.py", line, "loss", text)


def step(index, name, operation, inputs, value, gradient, **more: Any):
    value = np.asarray(value, more.pop("dtype", np.float32))
    gradient = None if gradient is None else np.asarray(gradient, np.float32)
    given: dict[str, Any] = {
        "source": source(7 + index, f"{name} = {operation}(...)")
    } | more
    return Step(
        index=index,
        name=name,
        operation=operation,
        inputs=inputs,
        shape=value.shape,
        dtype=value.dtype,
        value=value,
        gradient=gradient,
        **given,
    )


def argument(index, path, value, gradient):
    value = np.asarray(value, np.float32)
    why = "not differentiated" if gradient is None else ""
    return Argument(index, path, value.shape, value.dtype, value, gradient, why)


STEPS = (
    step(0, "multiply", "multiply", (Operand("argument", "w['<1>']", 0),), 6, 4),
    step(
        1,
        "h1",
        "add",
        (Operand("step", "multiply", 0), Operand("constant", "table")),
        -4,
        4,
        scope="net/layer",
    ),
    step(
        2,
        "mask",
        "greater",
        (Operand("step", "h1", 1),),
        True,
        None,
        dtype=bool,
        why="bool: no gradient",
    ),
    step(
        3,
        "y",
        "matmul",
        (Operand("step", "h1", 1), Operand("step", "y", 3, previous=True)),
        np.arange(6).reshape(3, 2),
        np.full((3, 2), 0.25),
        loop=(3,),
        part="loop",
    ),
    step(
        4, "loss", "sum", (Operand("step", "y", 3), Operand("constant", "2.0")), 15, 1
    ),
)
REPORT = Explanation(
    name="loss",
    value=np.float32(15),
    gradients=(np.float32(12),),
    arguments=(
        argument(0, "w['<1>']", 2, np.float32(12)),
        argument(1, "x", np.arange(4.0), None),
    ),
    steps=STEPS,
    result=4,
)


def test_the_table_shows_every_number_of_a_small_report():
    lines = text(REPORT, width=200).split("\n")
    assert lines[0] == "loss = 15   (5 steps, 2 arguments)"
    assert lines[1].split() == "# name operation type value gradient source".split()
    assert set(lines[2]) == {"-", " "}
    rows = [line.split() for line in lines[3:10]]
    assert rows[0] == ["w['<1>']", "argument", "f32[]", "2", "12"]
    assert rows[1][-2:] == ["not", "differentiated"]
    assert rows[2][:5] == ["0", "multiply", "f32[]", "6", "4"]
    assert rows[3][:5] == ["1", "h1", "add", "f32[]", "-4"]
    assert rows[3][6:8] == ["loss.py:8", "h1"]
    assert rows[4][3:8] == ["bool[]", "True", "bool:", "no", "gradient"]
    assert "0 .. 2.5 .. 5 |7.42|" in lines[8] and "all 0.25 |0.612|" in lines[8]
    assert lines[-1] == "arrays: min .. mean .. max |Euclidean norm|"


@pytest.mark.parametrize("width", [60, 72, 80, 100, 140])
def test_the_table_fits_the_terminal(width):
    lines = text(REPORT, width).split("\n")
    assert all(len(line) <= width for line in lines)
    joined = "\n".join(lines)
    for name in ("multiply", "h1", "mask", "y", "loss.py:7"):
        assert name in joined
    columns = [line.index("f32") for line in lines if "f32[" in line]
    assert len(set(columns)) == 1


def test_the_width_is_the_terminal_s(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert max(map(len, str(REPORT).split("\n"))) <= 70


def marked(**steps):
    made = tuple(
        step(i, name, "op", (), value, gradient)
        for i, (name, (value, gradient)) in enumerate(steps.items())
    )
    report = Explanation("f", np.float32(0), (), (), made)
    return {made[int(k.split("-")[1])].name: each for k, each in marks(report).items()}


def test_zero_dead_exploding_and_non_finite_steps_are_marked():
    ones = np.ones(4)
    found = marked(
        a=(ones, ones),
        b=(ones, 1e3 * ones),
        c=(ones, 1.1e3 * ones),
        d=(0 * ones, ones),
        e=(ones, 0 * ones),
        f=([1, np.nan, 1, 1], ones),
        g=(ones, None),
        h=(ones, [1, np.inf, 1, 1]),
    )
    assert found == {
        "c": ("exploding",),
        "d": ("zero",),
        "e": ("dead",),
        "f": ("non-finite",),
        "h": ("non-finite",),  # not exploding as well
    }
    assert marked(a=(ones, None)) == {}


def test_an_argument_is_marked_unless_it_is_only_zero():
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    arguments = (
        argument(0, "dead", ones, zeros),
        argument(1, "bias", zeros, ones),
        argument(2, "bad", ones, np.nan * ones),
        argument(3, "large", ones, 1.1e3 * ones),
    )
    made = (step(0, "y", "op", (Operand("argument", "dead", 0),), ones, ones),)
    report = Explanation("f", np.float32(0), (), arguments, made)
    expected = {0: "dead", 2: "non-finite", 3: "exploding"}
    assert marks(report) == {f"argument-{i}": (m,) for i, m in expected.items()}
    lines = text(report, 200).split("\n")
    assert [line.split()[-1] for line in (lines[3], lines[5], lines[6])] == [
        *expected.values()
    ]
    assert 'class="node argument dead"' in report.to_svg()


def test_the_blamed_step_has_a_mark_of_its_own():
    bad = np.array([np.nan, 1.0])
    given = argument(0, "x", np.ones(2), bad)
    made = tuple(step(i, n, "op", (), bad, bad) for i, n in enumerate(("a", "b", "c")))
    blame = Blame("backward", made[1], None, None, 1, {}, "Look.")
    report = Explanation("f", np.float32(0), (), (given,), made, _find=lambda _: blame)
    found = marks(report)
    assert found["step-1"] == ("blamed",)
    assert {found[k] for k in ("argument-0", "step-0", "step-2")} == {("non-finite",)}
    assert 'class="node step blamed" id="step-1"' in report.to_svg()
    assert 'id="row-step-1" class="step blamed"' in page(report)
    blame = Blame("input", None, "x", None, 1, {}, "Look.")
    asked = Explanation("f", np.float32(0), (), (given,), made, _find=lambda _: blame)
    assert marks(asked)["argument-0"] == ("blamed",)


def test_a_zero_without_a_gradient_is_not_marked():
    assert marked(h0=(np.zeros(3), None)) == {}


def test_booleans_are_counted():
    flags = step(0, "m", "gt", (), [True, False, True], None, dtype=bool, why="bool: ")
    assert "2 of 3 true" in str(Explanation("f", np.float32(0), (), (), (flags,)))


def test_a_narrow_table_joins_name_and_operation_and_keeps_the_end_of_a_path():
    path = "params['encoder']['layers']['attention']['kernel']"
    loss = step(
        0, "logits", "cross_entropy", (), np.ones((256, 10)), np.ones((256, 10))
    )
    given = (argument(0, path, np.ones((28, 28)), None),)
    lines = text(Explanation("f", np.float32(0), (), given, (loss,)), 60).split("\n")
    assert "logits = cross_entropy" in "\n".join(lines)
    assert "['kernel']" in lines[3] and "f32[28,28]" in lines[3]
    assert all(len(line) <= 60 for line in lines)


def test_a_long_operation_is_cut_before_the_ranges_are_left_out():
    long = step(0, "y", "a_long_operation" * 4, (), np.arange(4.0), np.ones(4))
    shown = text(Explanation("f", np.float32(0), (), (), (long,)), 90)
    assert "0 .. 1.5 .. 3" in shown and "a_long_operationa_long_…" in shown


def terminal_columns(text):
    """Kanji take two columns, a combining accent none."""
    return sum(2 if c in "入力重み" else c != "\u0301" for c in text)


def test_columns_stay_in_line_after_names_of_wide_characters():
    names = ("入力の重み", "e\u0301", "y", "入力" * 60)
    steps = [step(i, n, "mul", (), np.arange(4.0), None) for i, n in enumerate(names)]
    report = Explanation("f", np.float32(0), (), (), (*steps,))
    for width in (60, 100):
        shown = text(report, width).replace("の", "み").split("\n")
        assert all(terminal_columns(line) <= width for line in shown)
        rows = [line for line in shown if "f32[4]" in line]
        starts = {terminal_columns(row[: row.index("f32[4]")]) for row in rows}
        assert len(rows) == 4 and len(starts) == 1
    latin, kanji = (arrange(drawing_of(one(n))).size for n in ("y" * 20, "入力" * 5))
    assert latin == kanji


def one(name):
    alone = step(0, name, "mul", (), np.arange(4.0), None)
    return Explanation("f", np.float32(0), (), (), (alone,))


def test_a_long_hint_is_wrapped():
    blame = Blame("input", None, "x", None, 1, {}, "Look at the data. " * 20)
    lines = blame_text(blame, 60).split("\n")
    assert len(lines) > 5 and all(len(line) <= 60 for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])


def test_several_results_have_a_row_each():
    several = Step(
        0,
        "q, k",
        "split",
        (),
        ((2,), (1,)),
        (np.dtype("f4"),) * 2,
        (np.ones(2), np.zeros(1)),
        (np.ones(2), None),
        source(3, "q, k = split(x)"),
        outputs=("q", "k"),
    )
    report = Explanation("f", np.float32(1), (), (), (several,))
    lines = text(report, 150).split("\n")
    assert [line.split()[:3] for line in lines[3:5]] == [
        ["0", "q", "split"],
        ["k", "f32[1]", "0"],
    ]
    assert report["k"].shape == (1,) and report["q, k"] is several
    assert "q, k" in report.to_svg()


class Tags(HTMLParser):
    """Collects the links of a page and checks that its tags are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.rows = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in ("meta", "link", "input", "rect", "line", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "line", "path"):
            assert self.open.pop() == tag


def test_the_page_loads_no_other_file(tmp_path):
    REPORT.save(tmp_path / "page.html")
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(written)
    assert tags.open == [] and tags.links[0] == "data:,"
    assert all(f'id="{link[1:]}"' in written for link in tags.links[1:])
    assert tags.rows == 1 + 2 + 5
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)\w+\.", written)
    assert "w[&#x27;&lt;1&gt;&#x27;]" in written and "<1>" not in written


def test_a_notebook_s_fragment_runs_no_script_and_has_its_own_ids():
    fragment, again = REPORT._repr_html_(), REPORT._repr_html_()
    assert "<script" not in fragment and "<html" not in fragment
    (identity,) = set(re.findall(r'<g class="node[^"]*" id="([^"]+-)step-1"', fragment))
    assert f'id="row-{identity}step-1"' in fragment
    assert identity not in again
    Tags().feed(fragment)


def test_the_svg_holds_nodes_of_three_lines_and_edges_along_the_data():
    svg = ElementTree.fromstring(REPORT.to_svg())
    space = {"s": "http://www.w3.org/2000/svg"}
    nodes = {node.get("id"): node for node in svg.findall("s:g", space)}
    assert set(nodes) == {"argument-0", "constant-0", *(f"step-{i}" for i in range(5))}
    lines = [t.text for t in nodes["step-1"].findall("s:text", space)]
    assert lines == ["add: h1", "value -4", "grad 4"]
    assert "result" in nodes["step-4"].get("class", "")
    ends = {path.get("data-ends") for path in svg.findall("s:path", space)}
    assert {"argument-0 step-0", "constant-0 step-1", "step-3 step-4"} <= ends
    assert "step-3 step-3" in ends  # to the next iteration
    title = nodes["step-1"].findtext("s:title", "", space)
    for part in (
        "step 1",
        "value -4",
        "gradient 4",
        "multiply (0), table",
        "net/layer",
        "loss.py:8 in loss",
    ):
        assert part in title


def places(report):
    """The left and the top of each node of the SVG."""
    found = re.findall(
        r'id="([\w-]+)"[^>]*translate\(([\d.]+),([\d.]+)', report.to_svg()
    )
    return {key: (float(left), float(top)) for key, left, top in found}


def test_arguments_are_above_and_the_result_is_below():
    tops = {key: top for key, (_, top) in places(REPORT).items()}
    assert tops["argument-0"] == min(tops.values()) == 0
    assert tops["step-4"] == max(tops.values())
    order = ["argument-0", "step-0", "step-1", "step-3", "step-4"]
    assert [tops[key] for key in order] == sorted(tops[key] for key in order)


def test_a_graph_that_would_be_wide_runs_from_left_to_right():
    few, many = (
        tuple(
            step(i, f"h{i}", "sin", (Operand("argument", "w", 0),), 1.0, 1.0)
            for i in range(count)
        )
        for count in (4, 30)
    )
    given = (argument(0, "w", 1.0, np.float32(1)),)
    for steps, way in ((few, 1), (many, 0)):
        found = places(Explanation("f", np.float32(1), (), given, steps, 0))
        assert found["argument-0"][way] < found["step-0"][way]
        assert found["step-0"][way] == found["step-3"][way]


def test_dot_escapes_its_special_characters():
    dot = REPORT.to_dot()
    assert dot.startswith('digraph "loss" {\n  rankdir=LR;')
    assert '"argument-0" [label="w[\'\\<1\\>\']|value 2|grad 12"' in dot
    assert '"step-3" -> "step-3" [style=dashed, constraint=false];' in dot
    assert dot.count("->") == 7


def test_a_blame_prints_what_where_and_why():
    blame = Blame(
        phase="backward",
        step=STEPS[3],
        argument=None,
        iteration=(1, 4),
        count=2,
        operands={"x": np.array([0.0, 0.5]), "cotangent": np.array([1.0])},
        hint="Add an epsilon.",
        primitive="sqrt",
    )
    assert str(blame) == blame_text(blame)
    assert str(blame).split("\n") == [
        "The derivative of y made 2 non-finite elements (sqrt) in iteration (1, 4)",
        "  /home/user/loss.py:10 in loss",
        "    y = matmul(...)",
        "  x = 0, 0.5",
        "  cotangent = 1",
        "  Add an epsilon.",
    ]
    given = Blame("input", None, "params['w']", None, 1, {}, "Look.")
    assert str(given).startswith("The argument params['w'] holds 1 non-finite element")


def test_the_search_for_a_nan_runs_once_when_first_shown():
    asked = []
    blame = Blame("input", None, "x", None, 1, {}, "Look at the data.")
    bad = step(0, "y", "log", (), [np.nan], [1.0])
    report = Explanation(
        "f",
        np.float32(np.nan),
        (),
        (),
        (bad,),
        _find=lambda _: asked.append(1) or blame,
    )
    assert asked == []
    assert (
        "Look at the data." in str(report)
        and "Look at the data." in report._repr_html_()
    )
    assert asked == [1]


def boxes_and_edges(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 40))
    edges = {
        (int(random.integers(end)), end)
        for end in range(1, count)
        for _ in range(int(random.integers(0, 4)))
    }
    sizes = [Size(*map(float, random.integers(40, 200, 2))) for _ in range(count)]
    return sizes, sorted(edges)


@pytest.mark.parametrize("seed", range(20))
def test_no_boxes_overlap_and_every_edge_leads_right(seed):
    sizes, edges = boxes_and_edges(seed)
    drawing = lay_out(sizes, edges, leftmost=1)
    for i, (x, y) in enumerate(drawing.corners):
        assert x >= 0 and y >= -1e-9
        assert x + sizes[i].width <= drawing.size.width + 1e-9
        assert y + sizes[i].height <= drawing.size.height + 1e-9
        for j, (u, v) in enumerate(drawing.corners[:i]):
            apart_x = x >= u + sizes[j].width or u >= x + sizes[i].width
            apart_y = y >= v + sizes[j].height - 1e-6 or v >= y + sizes[i].height - 1e-6
            assert apart_x or apart_y
    for (start, end), course in zip(edges, drawing.courses, strict=True):
        xs = [x for x, _ in course]
        assert xs == sorted(xs)
        assert course[0][0] == drawing.corners[start][0] + sizes[start].width
        assert course[-1][0] == drawing.corners[end][0]


def crossings(drawing, sizes, edges):
    """The edges that cross a node other than their ends, at 50 points of each piece."""
    for edge, course in zip(edges, drawing.courses, strict=True):
        for (x, y), (u, v) in itertools.pairwise(course):
            t = np.linspace(0, 1, 50)
            across = 3 * (t * (1 - t)) * (x + u) / 2 + (1 - t) ** 3 * x + t**3 * u
            down = ((1 - t) ** 3 + 3 * t * (1 - t) ** 2) * y + (
                t**3 + 3 * t**2 * (1 - t)
            ) * v
            for node, ((left, top), size) in enumerate(
                zip(drawing.corners, sizes, strict=True)
            ):
                inside = (left < across) & (across < left + size.width)
                inside &= (top < down) & (down < top + size.height)
                if node not in edge and inside.any():
                    yield edge, node


@pytest.mark.parametrize("seed", range(10))
def test_no_edge_passes_through_a_node(seed):
    sizes, edges = boxes_and_edges(seed)
    assert list(crossings(lay_out(sizes, edges, leftmost=1), sizes, edges)) == []


def test_a_long_chain_with_arguments_and_a_long_edge_stays_level():
    links = [(2 * i, 2 * i + 2) for i in range(1, 40)]
    arguments = [(2 * i + 1, 2 * i + 2) for i in range(1, 40)]
    skips = [(0, 2 * i + 2) for i in range(40)]
    size = Size(100.0, 60.0)
    drawing = lay_out([size] * 81, [*links, *arguments, *skips])
    assert drawing.size.height < 7 * size.height


def test_an_edge_over_many_columns_is_a_stub_at_its_end():
    size, links = Size(100.0, 60.0), [(i, i + 1) for i in range(9)]
    near, far = (
        lay_out([size] * 10, [*links, (0, 9)]),
        lay_out([size] * 10, [*links, (0, 9)], 0, 8),
    )
    assert len(near.courses[-1]) > 10 and len(far.courses[-1]) == 2
    x, y = far.corners[9]
    assert far.courses[-1][-1][0] == x and y < far.courses[-1][-1][1] < y + 60
    assert lay_out([size] * 10, [*links, (0, 9)], 0, 9) == near


def test_arguments_of_a_large_graph_are_next_to_their_readers():
    count = 40
    given = tuple(argument(i, f"w[{i}]", 1.0, np.float32(1)) for i in range(count))
    made = tuple(
        step(
            i,
            f"h{i}",
            "mul",
            (Operand("argument", f"w[{i}]", i),)
            + ((Operand("step", f"h{i - 1}", i - 1),) if i else ()),
            1.0,
            1.0,
        )
        for i in range(count)
    )
    found = places(Explanation("f", np.float32(1), (), given, made, count - 1))
    top = {key: y for key, (_, y) in found.items()}
    for i in range(1, count):
        assert top[f"argument-{i}"] == top[f"step-{i - 1}"] < top[f"step-{i}"]


def test_values_of_every_kind_are_summarised():
    kinds = [
        np.zeros((0, 3), np.float32),
        jnp.ones(3, jnp.bfloat16),
        np.array([True, False]),
        np.array([1 + 1j], np.complex64),
        np.array(7, np.int64),
        np.array([1e300, 1e300]),
        np.array([np.inf, 1.0]),
    ]
    steps = tuple(
        Step(
            i,
            f"v{i}",
            "op",
            (),
            np.shape(v),
            np.asarray(v).dtype,
            v,
            None,
            source(1, "x"),
            why="no gradient",
        )
        for i, v in enumerate(kinds)
    )
    shown = str(Explanation("f", np.float32(0), (), (), steps))
    for part in ("empty", "all 1", "bf16[3]", "c64[1]", "7", "1.41e+300", "non-finite"):
        assert part in shown


def test_the_page_and_the_text_say_how_arrays_are_shown():
    assert "arrays: min .. mean .. max |Euclidean norm|" in text(REPORT, 140)
    assert "arrays: mean |Euclidean norm|" in text(REPORT, 60)
    (legend,) = re.findall('<section class="legend".*?</section>', page(REPORT), re.S)
    assert "min .. mean .. max |Euclidean norm|" in legend
    assert "of an array: mean |Euclidean norm|" in legend


def named(name, operand="table"):
    """A report in which every text is `name`."""
    place = Source(f"/home/{name}/{name}.py", 3, name, name, (name,))
    more: dict[str, Any] = {
        "source": place,
        "scope": name,
        "aliases": (name,),
        "part": name,
        "why": name,
    }
    inputs = (Operand("argument", name, 0), Operand("constant", operand))
    steps = (
        step(0, name, name + "(", inputs, [1.0, np.nan], None, **more),
        step(1, "y", name, (Operand("step", name, 0),), 2.0, 1.0, **more),
    )
    blame = Blame("forward", steps[0], None, 1, 1, {name: np.ones(1)}, name, name)
    return Explanation(
        name=name,
        value=np.float32(2),
        gradients=(),
        arguments=(argument(0, name, 1.0, 1.0),),
        steps=steps,
        result=1,
        note=name,
        _find=lambda _: blame,
    )


HOSTILE = {
    "line breaks": "a\nb\rc\r\nd\x0be\x0cf\x85g\u2028h\u2029i",
    "control characters": "a\x00b\x07c\x1b[31md\x7fe\x9bf",
    "surrogates": "a\udc80b\ud83d",
    "characters outside XML": "a\ufffeb\uffff",
    "text direction": "a\u202eb\u2066c",
    "markup": "</script><!--]]></style><b>&amp;\"'${prefix}$",
    "braces": "{0} %s \\ | { } < > \\n",
    "nothing": "",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_report_with_any_text_can_be_shown(name, tmp_path):
    report = named(name, operand=name)
    report.save(tmp_path / "page.html")
    written = (tmp_path / "page.html").read_bytes().decode("utf-8")
    tags = Tags()
    tags.feed(written)
    assert tags.open == [] and tags.rows == 4
    assert written.count("</script>") == written.count("<b>") + 2 == 2
    ElementTree.fromstring(report.to_svg())
    for shown in (
        written,
        report.to_svg(),
        report.to_dot(),
        text(report, 60),
        text(report, 200),
        str(report.nonfinite),
        report._repr_html_(),
    ):
        assert all(line.isprintable() for line in shown.split("\n"))


def test_characters_that_cannot_be_printed_are_escaped_as_in_python():
    shown = str(named("a\x1bb\udc80c\td é").nonfinite).split("\n")
    assert shown[1].endswith("/a\\x1bb\\udc80c d é.py:3 in a\\x1bb\\udc80c d é")


def test_a_source_line_of_a_megabyte_is_shortened():
    name = "x = " + "1 + " * 250_000
    report = named(name, operand=name)
    shown = (page(report), report.to_svg(), report.to_dot(), text(report, 200))
    for each in shown:
        assert "x = 1 + 1 +" in each and "…" in each
    assert max(map(len, shown)) < 70_000


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    REPORT.save(str(path))
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Explanation("g", np.float32(0), (), (), ()).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_a_page_is_written_through_a_link(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    REPORT.save(tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page(REPORT)


def test_the_standalone_svg_has_the_light_page_s_colours_and_no_variables():
    svg, written = REPORT.to_svg(), page(REPORT)
    assert "var(" not in svg and "#ecfdf5" in svg
    assert "--result-fill: #ecfdf5" in written and "--result-fill: #053b2c" in written


@pytest.mark.parametrize(
    ("dtype", "shown"),
    [
        ("bfloat16", "bf16[2]"),
        ("float64", "f64[2]"),
        ("uint16", "u16[2]"),
        ("int4", "i4[2]"),
        ("complex128", "c128[2]"),
        ("bool", "bool[2]"),
        ("float8_e4m3fn", "float8_e4m3fn[2]"),
    ],
)
def test_dtypes_are_abbreviated(dtype, shown):
    assert type_text((2,), jnp.dtype(dtype)) == shown
