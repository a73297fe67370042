"""The experiment on arrays: measurements, statements about torch, command line."""

import contextlib
import doctest
import io
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _section, arrays
from experiments._arrays import copying, devices, exercises, memory, values
from experiments._command import run_as_script
from experiments._reproduction import plain
from jaxgrad.differentiation import derivative


@pytest.fixture(scope="module")
def main_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrays")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = arrays.main(["--output-dir", str(folder), "--repeats", "1"])
    return result, printed.getvalue(), folder


@pytest.fixture(scope="module")
def result(main_run):
    return main_run[0]


@pytest.fixture(scope="module")
def computed(result):
    return {row: plain(value) for row, value in arrays.reproduced(result).items()}


# What is printed and written


def test_main_prints_every_section_and_saves_the_picture(main_run):
    result, printed, folder = main_run
    for section in result.values():
        assert f"\n{section.title}\n===" in printed
    assert [path.name for path in folder.glob("*.png")] == ["conversions.png"]
    assert max(map(len, printed.splitlines())) <= 132


def test_every_entry_has_the_columns_of_its_section(result):
    for section in result.values():
        assert {len(entry) for entry in section.entries} == {len(section.header)}


# Notebook 000


def test_printed_numbers_of_notebook_000(computed):
    x, both = values.NOTEBOOK_X, values.NOTEBOOK_SUM
    np.testing.assert_allclose(computed["0.4"]["sum"], both, rtol=0, atol=5e-5)
    assert all(computed["0.4"]["as NumPy"].values())
    np.testing.assert_array_equal(computed["0.5"], x[:, 1].astype(float))
    assert np.min(computed["0.3"]["notebook"]) == pytest.approx(0.0083, abs=1e-6)
    assert computed["0.6"]["types"] == ["float32", "ndarray", "float64"]
    assert computed["0.7"] == [[[1, 1], [1, 1]], [[3, 3], [3, 3]]]
    assert computed["0.1"]["smallest"] == computed["0.1"]["largest"] == 0


@pytest.mark.parametrize("row", ["0.2", "3.1"])
def test_draws_of_jax_are_in_the_unit_interval(computed, row):
    drawn = computed[row].get("jax") or computed[row]["rand"]
    assert 0 <= drawn["smallest"] < drawn["largest"] < 1


def test_another_seed_draws_other_numbers(result):
    with jax.default_device(jax.devices()[0]):  # as in run: nothing compiles again
        other = values.drawing(jax.random.key(1))
    line = "jax.random.uniform(key, (5, 3))"
    assert result["drawing"].shows("equal when drawn with the same key")
    assert not np.array_equal(other.shows(line), result["drawing"].shows(line))


# Values


def test_only_64_bit_types_are_cut_without_x64(result):
    dtypes = result["dtypes"]
    names, without = dtypes.column("NumPy"), dtypes.column("JAX without")
    assert set(names) - set(without) == {"int64", "float64"}
    assert [a for a, b in zip(names, without, strict=True) if a != b] == [
        "int64",
        "float64",
    ]
    assert dtypes.column("JAX with x64") == names


def test_types_without_x64_are_cut_silently_or_with_a_warning(result):
    types = result["type_choices"]
    assert types.shows("created without x64").dtype == np.int32
    assert types.shows("without x64, silently").dtype == np.float32
    for name in ("jnp.zeros(3, jnp.int64)", "its sum, outside x64"):
        assert types.shows(name).startswith("UserWarning: Explicitly requested dtype")


def test_a_donated_addition_reuses_the_memory(result):
    shows = result["addition"].shows
    assert shows("the result has the memory of y") is True
    assert shows("y afterwards").startswith("RuntimeError: Array has been del")
    assert shows("jnp.add(x, y, out=result)").startswith("NotImplementedError")


def test_indexing_outside_is_clamped_and_dropped(result):
    shows = result["indexing"].shows
    assert shows("x[7]  (clamped: x[4])") is True
    assert shows("x.at[7].set(1)  (dropped: x)") is True
    assert np.isnan(shows('x.at[7].get(mode="fill")')).all()


def test_at_returns_a_new_array(result):
    shows, row = result["indexing"].shows, values.NOTEBOOK_X[0]
    np.testing.assert_array_equal(shows("y = x.at[0].set(1); y[0]"), np.ones(3))
    np.testing.assert_array_equal(shows("y = x.at[0].add(1); y[0]"), 1 + row)
    np.testing.assert_array_equal(shows("x[0], unchanged"), row)


@pytest.mark.parametrize(
    ("section", "line", "error"),
    [
        ("indexing", "x[[0, 1]]", "TypeError"),
        ("indexing", "x[0] = 1", "TypeError"),
        ("shapes", "x.reshape(-1, 7)", "TypeError"),
        ("items", "y[jnp.array([0, 1, 2])].item()", "ValueError"),
        ("items", "jax.jit(lambda x: x.item())(1.0)", "ConcretizationTypeError"),
        ("detaching", "jax.grad(np.exp)(2.0)", "TracerArrayConversionError"),
    ],
)
def test_errors_of_jax(result, section, line, error):
    assert result[section].shows(line).partition(":")[0] == error


def test_names_are_rebound_in_jax_and_written_through_in_numpy(computed):
    assert computed["3.7"]["in place"] == pytest.approx([2, 2], abs=1e-6)
    assert computed["3.7"]["JAX"] == pytest.approx([1, 1, 0], abs=1e-6)


def test_stop_gradient_is_detach(result):
    shows = result["detaching"].shows
    assert shows("jax.grad(lambda x: x * x)(3.0)") == 6
    assert shows("jax.grad(lambda x: x * stop_gradient(x))(3.0)") == 3
    assert shows("stop_gradient(y) shares memory") is True


# Memory


@pytest.mark.parametrize("offset", [0, 4, 16, 60])
def test_aligned_starts_at_the_offset(offset):
    array = memory.aligned(np.arange(6.0).reshape(2, 3), offset)
    assert array.ctypes.data % 64 == offset
    np.testing.assert_array_equal(array, np.arange(6.0).reshape(2, 3))


def test_numpy_copies_only_after_a_transpose_or_on_request(result):
    lines = result["copies"].column("JAX")
    numpy_copies = dict(
        zip(lines, result["copies"].column("NumPy copies"), strict=True)
    )
    jax_copies = dict(zip(lines, result["copies"].column("JAX copies"), strict=True))
    copying = {line for line, copies in numpy_copies.items() if copies}
    assert copying == {"x.T.reshape(16)", "x.copy()"}
    assert jax_copies["x.reshape(4, 4)"] is False
    assert jax_copies["x.reshape(16)"] is True


def test_a_write_is_seen_exactly_if_memory_is_shared(result):
    for _, line, one_memory, numpy_writes in result["sharing"].entries:
        if line in ("np.asarray(a)", "np.from_dlpack(a)"):
            assert one_memory and numpy_writes.startswith("ValueError")
        else:
            assert one_memory == (numpy_writes == "JAX sees it"), line


def test_which_lines_share_memory(result):
    shares = {line: shared for _, line, shared, _ in result["sharing"].entries}
    assert shares["jnp.from_dlpack(a)"] and shares["np.asarray(a)"]
    assert shares["jax.dlpack.from_dlpack(a)"]
    for line in ("jnp.array(a)", "np.array(a)"):
        assert not shares[line]
    for owner in ("a off by 16 bytes", "a of float64"):
        assert not shares[f"jnp.from_dlpack(a)  {owner}"]


def test_a_finished_copy_never_shows_a_later_write(result):
    _, (_, copies, with_the_later_number) = result["late_writes"].entries
    assert copies == 50 and with_the_later_number == 0


STORY = [(2, 2), (2, 1), (2, 2), (3, 2), (2, 2), (3, 3), (4, 3), (4, 4), (9, 9), (0, 9)]


def test_story_of_a_and_b(result):
    story = result["story"]
    assert story.column("one memory") == STORY
    # In JAX alone nothing is shared: b moves only when b is bound.
    alone = [b for _, b in story.column("JAX alone")]
    assert alone == [1, 1, 2, 2, 1, 1, 1, 4, 9, 9]


def test_both_columns_of_the_story_are_compared(result, computed):
    for column in ("one memory", "JAX alone"):
        judged = [
            state for row in range(12, 16) for state in computed[f"3.{row}"][column]
        ]
        assert judged == plain(result["story"].column(column))


def test_plus_equals_writes_in_numpy_and_rebinds_in_jax(result, computed):
    numpy, jax_array, view, written, added = result["plus_equals"].entries
    assert numpy[1:] == (9, 9, 9, True)
    assert jax_array[1:] == (4, 9, 4, False)
    assert view[1:3] == (4, "ValueError: output array is read-only")
    assert written[1] == 4 and written[2].startswith("TypeError: JAX arrays are immut")
    assert added[1:] == (4, 9, 4, False)
    as_written = computed["3.15"]["b += 5 as written"]
    assert as_written == {
        "NumPy": [[9.0] * 5, [9.0] * 5],
        "JAX": [[4.0] * 5, [9.0] * 5],
    }


def test_jax_copies_with_copy_and_not_with_clone(result):
    names = result["copy_names"]
    own = "jax.Array, its own memory, equal"
    for line in ("a.copy()", "jnp.array(a)", "copy.deepcopy(a)"):
        assert names.shows(line) == own
    assert names.shows("np.array(a)") == "ndarray, its own memory, equal"
    assert "shared memory" in names.shows("a.clone()  (undocumented)")
    assert names.shows("a.copy() after a was donated") == [1.0, "RuntimeError"]


def test_a_pair_must_hold_one_value_each():
    with pytest.raises(ValueError, match="size 1"):
        memory.pair(np.ones(5), np.arange(5))


# Devices and conversions


def test_timings_are_positive_and_of_all_sizes(result):
    assert all(min(row[2:]) > 0 for row in result["timings"].entries)
    assert devices.SIZES == (5, 1_000, 100_000, 1_000_000)


def test_a_copy_grows_and_a_view_does_not(result):
    # A million numbers are 4 MB: no machine copies them in the time of a view.
    *_, shared, copied = result["timings"].column("of 1000000")
    assert copied > 3 * shared


def test_every_device_is_found_by_its_name():
    for device in devices.all_devices():
        assert devices.find_device(devices.device_name(device)) == device
    assert devices.find_device() == jax.devices()[0]
    assert devices.find_device("cpu") == jax.devices("cpu")[0]


@pytest.mark.message
@pytest.mark.parametrize("name", ["quantum", "", "cpu:9", "cpu:x", "cpu:", "cpu:-1"])
def test_a_missing_device_is_an_error_that_lists_the_devices(name):
    with pytest.raises(
        ValueError, match=r"expected name to be a device of this machine \(cpu:0"
    ):
        devices.find_device(name)


def test_a_second_device_is_found():
    code = """if True:
        from experiments._arrays.devices import find_device, placement
        for fact in placement(find_device("cpu:1")).entries[:4]:
            print(fact[-1])
    """
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["cpu:1", "cpu:1", "cpu:0", "cpu:1"], done.stderr


def test_nvidia_programs_are_lowered_for_cuda():
    assert devices.nvidia_platform() == "cuda"


# Exercises and corrections


def test_exercises(computed):
    block = np.array([[1, 2], [4, 5], [7, 8]])
    t = np.stack([block, -block, 10 * block, -10 * block])
    assert computed["3.43"] == {"t": t.tolist(), "size": [4, 3, 2], "dtype": "int64"}
    assert computed["3.44"] == {
        "t[:, -1, :]": t[:, -1].tolist(),
        "t[:-1:]": t[:3].tolist(),
        "t[0:-1:1]": t[:3].tolist(),
    }
    assert computed["3.45"] == {"slope": -12.0, "by hand": -12.0, "value": -12.0}


def test_answers_are_printed_in_full_with_their_reasons(result):
    section = result["exercises"]
    text = " ".join(section.text().split())
    answers = section.rows["3.43"]["t"], *section.rows["3.44"].values()
    for answer in answers:
        assert " ".join(str(np.asarray(answer)).split()) in text
    assert "..." not in section.note
    assert section.shows("t[:, -1, :].shape") == (4, 2)
    assert section.shows("t[:, -1:, :].shape") == (4, 1, 2)
    assert section.shows("equal to t[:, 2, :]") is True
    assert section.shows("equal to t[0], t[1], t[2], stacked") is True
    assert section.shows("slice(None, -1, None).indices(4)") == (0, 3, 1)
    for why in (exercises.WHY_3, exercises.WHY_4):
        assert why in text


def test_a_transpose_has_the_bytes_and_the_memory_of_its_array(computed):
    assert computed["3.C15"] == {"bytes": [24, 24], "one memory": True}


def test_slope_by_hand_is_the_derivative_everywhere(x64):
    x = jnp.linspace(-3, 3, 13)
    np.testing.assert_allclose(
        derivative(exercises.cubic)(x),
        exercises.cubic_slope_by_hand(x),
        rtol=1e-12,
        atol=1e-12,
    )


def test_every_correction_differs_from_the_notebook(result):
    first, *_, last = result["corrections"].column("measured")
    assert first == [8, 8, 64] and last == ["4"]
    for question, notebook, measured in result["corrections"].entries:
        assert plain(measured) != plain(notebook), question


# The helper and the command


def test_errors_and_warnings_are_named():
    assert _section.error_of(lambda: 1 / 0) == "ZeroDivisionError: division by zero"
    assert _section.error_of(lambda: 1) == "no error"
    assert _section.warning_of(lambda: 1) == "no warning"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (1.5, 1.5),
        ((5, 3), "(5, 3)"),
        ([True, 0.5], "yes, 0.5"),
        ({"a": False}, "a: no"),
        (np.array([[0], [1]]), "int64 [[0], [1]]"),
        (np.arange(16.0), "float64 (16,), 0 to 15"),
        (np.ones((3, 3), np.float32), "float32 (3, 3), all 1"),
    ],
)
def test_shown(value, text):
    assert _section.shown(value) == text


def test_a_long_error_is_wrapped_in_its_cell(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    fault = f"OSError: {'why ' * 20}".rstrip()
    section = _section.Section("T", "C.", [("x", "y", fault)])
    *_, rule, first, second = section.text().splitlines()
    assert first.split()[:3] == ["x", "y", "OSError:"]
    assert f"{first.split('y', 1)[1]} {second}".split() == fault.split()
    assert set(rule) == {"-"} and len(first) <= 60


@pytest.mark.parametrize("module", [exercises, memory, devices])
def test_examples_of_the_docstrings(module):
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed


def test_help_and_bad_options(capsys):
    with pytest.raises(SystemExit) as stop:
        arrays.main(["--help"])
    assert stop.value.code == 0 and "--device" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        arrays.main(["--devise", "cpu"])
    assert stop.value.code == 2


@pytest.mark.message
@pytest.mark.parametrize("options", [["--device", "quantum"], ["--repeats", "0"]])
def test_bad_input_ends_in_one_line(options, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        run_as_script(lambda: arrays.main([*options, "--output-dir", str(tmp_path)]))
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "expected" in error and "instead" in error


# What the sections say of torch


@pytest.mark.parity
def test_the_states_of_a_and_b_are_torchs():
    import torch

    def pair(a, b):
        return np.unique(np.asarray(a)).item(), np.unique(np.asarray(b)).item()

    told = []
    a = torch.ones(5)
    b = a.numpy()
    a.add_(1)
    told += [pair(a, b)]
    a = torch.ones(5)
    b = a.clone().numpy()
    a.add_(1)
    told += [pair(a, b)]
    b = [b[i] * 2 for i in range(5)]
    told += [pair(a, b)]
    a.add_(1)
    told += [pair(a, b)]
    a = np.ones(5)
    b = torch.from_numpy(a)
    np.add(a, 1, out=a)
    told += [pair(a, b)]
    a += 1
    told += [pair(a, b)]
    a = a + 1
    told += [pair(a, b)]
    b = torch.from_numpy(a)
    told += [pair(a, b)]
    b += 5
    told += [pair(a, b)]
    a = np.zeros(5)
    assert [*told, pair(a, b)] == STORY


@pytest.mark.parity
def test_errors_of_torch():
    import torch

    x = torch.arange(16.0).reshape(4, 4)
    wanted = torch.ones(2, requires_grad=True)
    for action in (
        lambda: x.view(-1, 7),
        lambda: x.T.view(16),
        lambda: x[0].item(),
        lambda: np.exp(wanted),
        lambda: x.to("gpu"),
    ):
        assert _section.error_of(action).startswith("RuntimeError")
    assert str(torch.device("cuda:0")) == "cuda:0"  # named, whether it is there or not
    if not torch.cuda.is_available():
        assert _section.error_of(lambda: x.to("cuda:0")) != "no error"
    assert _section.error_of(lambda: x[7]).startswith("IndexError")
    assert _section.error_of(lambda: x.__setitem__(7, 1)).startswith("IndexError")


@pytest.mark.parity
def test_torch_has_clone_but_no_copy_and_transposes_in_place():
    import torch

    a: Any = torch.ones(5)
    with pytest.raises(AttributeError, match="has no attribute 'copy'"):
        a.copy()
    assert a.clone().data_ptr() != a.data_ptr()
    row = torch.tensor([[0, 1, 2]])
    assert row.nbytes == row.T.nbytes == 24
    assert row.T.tolist() == [[0], [1], [2]]
    assert row.data_ptr() == row.T.data_ptr()
    a = np.full(5, 4, np.float32)
    assert [t.tolist() for t in copying.add_five(torch.from_numpy, a)] == [
        [9.0] * 5
    ] * 3


@pytest.mark.parity
def test_what_torch_shares_and_copies():
    import torch

    x = torch.arange(16.0).reshape(4, 4)
    assert x.reshape(16).data_ptr() == x.data_ptr()
    assert x.T.reshape(16).data_ptr() != x.data_ptr()
    assert x[1].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert x.detach().data_ptr() == x.data_ptr()
    array = np.ones(5, np.float32)
    assert torch.as_tensor(array).data_ptr() == array.ctypes.data
    ours = jnp.ones(5)
    theirs = torch.from_dlpack(ours)
    assert theirs.data_ptr() == ours.unsafe_buffer_pointer()
    y = torch.rand(5, 3)
    x, start, y1, y2 = torch.rand(5, 3), y.clone(), y, y
    y1.add_(x)
    y2 += x
    assert y1 is y2 and torch.allclose(y1, start + 2 * x)


@pytest.mark.parity
@pytest.mark.parametrize("name", list(values.TORCH_NAMES))
def test_torch_keeps_all_nine_types(name):
    import torch

    tensor = torch.from_numpy(np.zeros(3, name))
    for alias in values.TORCH_NAMES[name].split(", "):
        assert tensor.dtype is getattr(torch, alias.removeprefix("torch."))
    assert tensor.numpy().dtype.name == name
    assert torch.tensor([1, 2]).dtype is torch.int64
    assert torch.Tensor([1, 2]).dtype is torch.float32
