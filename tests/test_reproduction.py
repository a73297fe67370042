"""The comparison with the notebooks: agreement, counting, the data file."""

import json
import re

import numpy as np
import pytest

from experiments import _reproduction as reproduction
from experiments._reproduction import Part, Row, agree, closing_line, compare, plain

HOW = "regenerate: python -m tests.golden.generate_experiments"
ROWS_OF_SEED = {"000": 10, "001": 16, "002": 5, "003": 70, "004": 7}


def test_the_data_file_has_every_row_of_every_notebook_once():
    results = reproduction.seed_results()
    rows = [result["row"] for result in results if result["kind"] != "corrected"]
    assert rows == [
        f"{int(seed)}.{i}" for seed, n in ROWS_OF_SEED.items() for i in range(1, n + 1)
    ]
    assert len({result["row"] for result in results}) == len(results)


@pytest.mark.parametrize("result", reproduction.seed_results(), ids=lambda r: r["row"])
def test_every_row_is_well_formed(result):
    assert result["kind"] in reproduction.KINDS
    assert result["origin"] in {"printed", "stated", "computed"}
    assert set(result) <= {
        "seed", "row", "quantity", "origin", "kind", "experiment", "printed",
        "expected", "rtol", "atol",
    }  # fmt: skip
    assert int(result["seed"]) == int(result["row"].split(".")[0])


def test_expected_values_without_intervals_agree_with_themselves():
    for result in reproduction.seed_results():
        expected = result.get("expected", result["printed"])
        if not re.search("least|most|stored", str(expected)):
            assert agree(expected, expected, 0.0, 0.0), result["row"]


@pytest.mark.parametrize(
    ("computed", "expected", "verdict"),
    [
        (1.0000001, 1.0, True),
        (1.00001, 1.0, False),
        (float("nan"), 1.0, False),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0], False),
        (1.0, [1.0], False),
        (True, True, True),
        (1, True, False),
        (None, 0.0, False),
        ("int64", "int64", True),
        ([0.2, 0.9], {"least": 0, "most": 1}, True),
        ([0.2, 1.1], {"least": 0, "most": 1}, False),
        (float("nan"), {"least": 0}, False),
        ({"a": 3, "b": [5.0]}, {"a": {"least": 3}, "b": [5]}, True),
        ({"a": 3}, {"a": 3, "b": 5}, False),
    ],
)
def test_agree(computed, expected, verdict):
    assert agree(computed, expected, rtol=1e-6, atol=0.0) is verdict


def test_stored_arrays_are_compared_entry_by_entry(monkeypatch):
    stored = {"a": np.array([[1.0, 0.0], [2.0, -3.0]])}
    monkeypatch.setattr(reproduction, "torch_results", lambda: stored)

    def verdict(computed, **tolerances):
        return agree(computed, {"stored": "a", **tolerances}, rtol=9.0, atol=9.0)

    assert verdict([[1.0, 1e-13], [2.0, -3.0]])
    assert not verdict([[1.0, 1e-11], [2.0, -3.0]])
    assert verdict([[1.0, 1e-11], [2.0, -3.0]], atol=1e-10)
    assert not verdict([[1.0, 0.0], [2.0, 3.0]], rtol=1.0)
    for wrong in ([1.0, 0.0, 2.0, -3.0], [[1.0, 0.0], [2.0]], None, "a", [[1, 2], "b"]):
        assert not verdict(wrong)
    assert not verdict([[1.0, float("nan")], [2.0, -3.0]])


def test_every_stored_array_is_used_once():
    text = reproduction.SEED_RESULTS.read_text(encoding="utf-8")
    names = re.findall(r'stored = "([^"]+)"', text)
    assert set(names) == set(reproduction.torch_results())
    repeated = {name for name in names if names.count(name) > 1}
    assert repeated == {"layer step"}  # by hand and by the optimizer


def test_a_part_of_a_row_can_fail_but_not_agree(monkeypatch):
    expected = {"a": 1.0, "b": 2.0}
    monkeypatch.setattr(
        reproduction,
        "seed_results",
        lambda: [result_of("random", "", expected=expected)],
    )
    for value, agrees in (
        (Part(a=1.0), None),
        (Part(a=1.5), False),
        (Part(c=1.0), False),
        ({"a": 1.0}, False),
        (Part(a=1.0) | {"b": 2.5}, False),
        ({"a": 1.0} | Part(b=2.0), None),
        (expected, True),
    ):
        (row,) = compare({"0.1": value})
        assert row.agrees is agrees, value


def test_an_echo_must_agree_but_does_not_count(monkeypatch):
    monkeypatch.setattr(reproduction, "seed_results", lambda: [result_of("echo", 1.0)])
    for value, good in ((1.0, True), (2.0, False)):
        rows = compare({"0.1": value})
        assert reproduction.agreed(rows[0]) is good
        assert closing_line(rows) == "0 of 0 seed results reproduced"


def test_long_lists_are_described_in_the_rows(monkeypatch):
    long = [0.0] * 1000
    monkeypatch.setattr(
        reproduction, "seed_results", lambda: [result_of("machine", {"y": long})]
    )
    (row,) = compare({"0.1": {"y": long}})
    assert row.agrees and row.computed == {"y": "1000 numbers"}


def result_of(kind, printed, **more):
    return {"seed": "000", "row": "0.1", "quantity": "q", "kind": kind,
            "printed": printed, **more}  # fmt: skip


def test_compare_counts_rows_and_names_those_not_run(monkeypatch):
    results = [
        result_of("deterministic", 1.0),
        result_of("random", 7.0, expected={"most": 9.0}) | {"row": "0.2"},
        result_of("machine", 3.0, expected={"least": 0.0}) | {"row": "0.3"},
        result_of("corrected", 5.0) | {"row": "0.C1"},
        result_of("deterministic", 1.0) | {"row": "0.5"},
    ]
    monkeypatch.setattr(reproduction, "seed_results", lambda: results)
    rows = compare({"0.1": 1.0, "0.2": 8.0, "0.3": 4.0, "0.C1": 4.0})
    assert [row.agrees for row in rows] == [True, True, True, False, None]
    assert closing_line(rows) == "2 of 2 seed results reproduced (not run: 0.5)"
    assert all(map(reproduction.agreed, rows))
    wrong = compare({"0.1": 2.0, "0.C1": 5.0})
    assert [reproduction.agreed(row) for row in wrong] == [
        False, True, True, False, True,
    ]  # fmt: skip
    assert closing_line(wrong).startswith("0 of 1 ")


def test_an_unknown_row_is_an_error():
    with pytest.raises(KeyError, match=r"9\.9"):
        compare({"9.9": 1.0})


def test_rows_are_written_completely(tmp_path):
    row = Row("000", "0.1", "q", "machine", [1], plain((1.5, {"a": 2})), True)
    path = tmp_path / "deep" / "reproduction.json"
    reproduction.write_rows([row], path)
    (read,) = json.loads(path.read_text())
    assert read == row._asdict() and list(read) == list(Row._fields)
    assert [p.name for p in path.parent.iterdir()] == ["reproduction.json"]


@pytest.mark.parity
@pytest.mark.slow
def test_the_stored_arrays_are_torchs():
    from tests.golden.generate_experiments import results

    found, stored = results(), reproduction.torch_results()
    assert found.keys() == stored.keys()
    for name, array in found.items():
        tolerance = 1e-9 if "digits" in name or "loss" in name else 1e-13
        np.testing.assert_allclose(
            array, stored[name], tolerance, 1e-13, err_msg=f"{name}: {HOW}"
        )
