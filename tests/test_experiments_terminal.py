"""What the command lines print, how wide, and how they end."""

import errno
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from threading import Thread

import pytest

from experiments import __main__ as together
from experiments import _terminal as terminal
from experiments import _verdict as verdict
from experiments._command import require_finite, run_as_script, write_whole
from experiments._options import EXPERIMENTS
from experiments._reproduction import Row
from experiments._serve import server

HEADER = ("torch", *(f"column {i}" for i in range(8)))
ROWS = [
    ("x.new_ones(5, 3, dtype=torch.double)", *(10.0**-i / 3 for i in range(8))),
    ("a word", *(float("nan") for _ in range(7)), 1234567.0),
]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_a_table_fits_and_loses_nothing(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = terminal.table(HEADER, ROWS)
    assert max(map(len, text.splitlines())) <= width
    for _, *numbers in ROWS:
        assert all(f"{number:.7g}" in text for number in numbers)
    for title in HEADER[1:]:
        assert title.split()[1] in text
    words = "".join(text.split())
    assert all(part in words for part in ("x.new_ones(5,", "3,", "dtype=torch.double)"))


def test_numbers_are_right_and_words_left(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [("a", "92.45%", 1), ("bb", "8.1%", 12), ("c", "-", 3)]
    *_, first, second, third = terminal.table(("name", "share", "n"), rows).split("\n")
    assert (first, second) == ("a     92.45%   1", "bb      8.1%  12")
    assert third == "c          -   3"


def test_square_brackets_and_colons_are_text(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    text = terminal.table(("JAX", "[bold]"), [("x[1]", ":smile: y[red]")])
    assert "x[1]  :smile: y[red]" in text and "[bold]" in text
    terminal.section("x[red]", "[link]")
    assert capsys.readouterr().out == "\nx[red]\n======\n[link]\n"


@pytest.mark.parametrize(("setting", "width"), [("60", 60), ("133", 133), (None, 100)])
def test_the_width_is_that_of_columns_or_at_most_100(setting, width, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    size = os.terminal_size((250, 24))
    monkeypatch.setattr("os.get_terminal_size", lambda fd=0: size)
    if setting:
        monkeypatch.setenv("COLUMNS", setting)
    assert terminal.columns() == width


def test_paths_and_options_are_not_broken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    path = "/a/very/long/path-with-hyphens/t10k-labels-idx1-ubyte.gz"
    assert path in terminal.wrapped(f"some words before {path} and --data-dir FOLDER")


def test_there_is_one_display_and_none_without_a_terminal(capsys):
    with terminal.progress() as outer, terminal.progress() as inner:
        assert inner is outer and outer.disable and not terminal.shows_bars()
        outer.update(outer.add_task("work", total=2, note=""), advance=1)
    assert capsys.readouterr().out == ""


def on_a_terminal(*command, **environment):
    """What a command shows on a terminal of 250 columns."""
    ours, theirs = pty.openpty()
    os.environ.pop("COLUMNS", None)
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    run = subprocess.Popen(
        [sys.executable, *command],
        stdout=theirs,
        stderr=theirs,
        env=known | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    run.wait()
    return shown.decode()


BARS = """
import contextlib, io, time
from experiments import _terminal as terminal
kept = io.StringIO()
with terminal.progress() as bars:
    task = bars.add_task("training", total=3, note="")
    terminal.heading("Title")
    for epoch in range(3):
        bars.update(task, advance=1, note=f"epoch {epoch}")
        print(f"row {epoch}")
        with contextlib.redirect_stdout(kept):
            print(f"kept {epoch}")
            bars.update(task, note=f"batch {epoch}")
            time.sleep(0.3)
            bars.update(task, note="")
print("only text is kept:", kept.getvalue() == "kept 0\\nkept 1\\nkept 2\\n")
"""


def test_a_terminal_shows_bars_and_no_color_is_obeyed():
    coloured, plain = (
        on_a_terminal("-c", BARS, **setting) for setting in ({}, {"NO_COLOR": "1"})
    )
    for shown in (coloured, plain):
        assert all(f"row {i}" in shown for i in range(3))
        assert "training" in shown and "batch 2" in shown
        assert "only text is kept: True" in shown and "kept 0" not in shown
    assert "\x1b[1mTitle" in coloured
    assert not re.search(r"\x1b\[[\d;]*m", plain)


@pytest.mark.parametrize("name", ["", ".mnist_mlp"])
def test_help_needs_no_library_of_arrays(name):
    command = [sys.executable, "-X", "importtime", "-m", f"experiments{name}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "--lr" in done.stdout
    heavy = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not heavy & {"jax", "matplotlib", "flax", "sklearn", "optax"}
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_every_experiment_is_listed_with_what_it_shows(capsys):
    assert together.main(["--list"]) == []
    listed = capsys.readouterr().out
    for name, options in EXPERIMENTS.items():
        assert f"\n{name} " in listed and (options.__doc__ or "?")[:20] in listed


def test_a_learning_rate_is_lr_everywhere():
    for options in (*EXPERIMENTS.values(), together.Config):
        rates = {name for name in options.__dataclass_fields__ if "rate" in name}
        assert not rates


def test_the_reader_of_a_pipe_may_leave(tmp_path):
    command = (
        f"{sys.executable} -m experiments.port --output-dir {tmp_path} | head -n 1"
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (141, "\n")
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**30])
def test_a_seed_beyond_64_bits_is_one_line(seed, tmp_path, capsys):
    options = ["--seed", str(seed), "--output-dir", str(tmp_path)]
    from experiments import backprop

    with pytest.raises(SystemExit) as end:
        run_as_script(lambda: backprop.main(options))
    assert end.value.code == 2
    said = f"error: --seed: expected an integer of 64 bits, got {seed} instead.\n"
    assert capsys.readouterr().err == said


def test_ctrl_c_during_the_imports_is_one_line(tmp_path):
    code = (
        "import signal, sys, runpy; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = ['-m']; import experiments; print('ready', flush=True); "
        "import time; time.sleep(60)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None and run.stdout.readline() == "ready\n"
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert (run.returncode, said) == (130, "interrupted\n")


def test_ctrl_c_during_the_work_is_one_line(capsys):
    def work():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_as_script(work)
    assert end.value.code == 130 and capsys.readouterr().err == "interrupted\n"


def test_a_package_that_is_missing_is_one_line():
    code = (
        "import sys; sys.modules['tyro'] = None; sys.argv = ['-m']; "
        "sys.path.insert(0, '.'); import experiments"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert 'pip install -e ".[experiments]"' in done.stderr


def test_a_rate_that_is_too_large_is_one_message():
    require_finite([1.0, 2.0], 0.1)
    for loss in (float("nan"), float("inf")):
        with pytest.raises(SystemExit, match="--lr: expected a rate at which the loss"):
            require_finite([1.0, loss], 1e30)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_modes_that_umask_gives(mask, tmp_path):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "new" / "rows.json", "[]\n")
    finally:
        os.umask(before)
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert path.read_text() == "[]\n"


def test_a_file_for_which_there_is_no_space_is_named(tmp_path, monkeypatch):
    def full(path, *_, **__):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"No space left on device: .*rows\.json"):
        write_whole(tmp_path / "rows.json", "[]")
    assert list(tmp_path.iterdir()) == []


def row(number, kind, agrees):
    return Row("003", number, f"q{number}", kind, [1.0], [2.0], agrees)


def test_the_verdict_names_what_failed_and_what_was_not_run(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    good = [row("3.1", "random", True), row("3.C1", "corrected", False)]
    verdict.print_verdict(good, [], digits=False)
    printed = capsys.readouterr().out
    assert "1 of 1 seed results reproduced\n" in printed
    assert "Not " not in printed
    bad = [row("3.2", "machine", False), row("3.30", "random", None)]
    verdict.print_verdict([*good, *bad], [], digits=True)
    printed = capsys.readouterr().out
    assert "Not reproduced: 1\n" in printed and "\n3.2 " in printed
    assert "Not run in full: 1\n" in printed and "mnist_mlp: 3.30\n" in printed
    assert "--data-dir FOLDER" in printed
    verdict.print_verdict(bad, ["mnist_mlp"], digits=True)
    printed = capsys.readouterr().out
    assert "mnist_mlp, stopped early: 3.30\n" in printed
    assert "--data-dir" not in printed  # that would not help


def test_only_the_named_experiments_run(tmp_path, monkeypatch, capsys):
    ran = []

    def run_one(name, config):
        ran.append(name)
        (config.output_dir / name).mkdir(parents=True)
        return together.Outcome(name, "its tables", {}, "", 1.0)

    monkeypatch.setattr(together, "_run_one", run_one)
    options = ["--only", "port", "explain", "--dataset", "digits"]
    options += ["--output-dir", str(tmp_path)]
    assert together.main(options) == []  # no rows are theirs
    assert ran == ["port", "explain"]
    printed = capsys.readouterr().out
    assert "its tables" not in printed
    assert "0 of 0 seed results reproduced\n" in printed  # and none is not run
    together.main(
        [*options, "--only", "port", "--verbose", "--output-dir", str(tmp_path / "v")]
    )
    assert "its tables" in capsys.readouterr().out


def test_the_server_answers_this_machine_with_the_folder_only(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "index.html").write_text("the page")
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    at = server(folder, 0)
    assert at.server_address[0] == "127.0.0.1"
    Thread(target=at.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{at.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{address}/index.html") as answer:
            assert answer.read() == b"the page"
        for other in ("link", "../secret", "%2e%2e/secret", "none"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/{other}")
    finally:
        at.shutdown()
        at.server_close()


def test_a_taken_port_is_replaced(tmp_path):
    with server(tmp_path, 0) as first:
        with server(tmp_path, first.server_address[1]) as second:
            assert second.server_address[1] != first.server_address[1]


def test_an_editable_install_adds_jaxgrad_only():
    import tomllib

    path = Path(__file__).parents[1] / "pyproject.toml"
    build = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["dev-mode-exact"] is True
    assert build["targets"]["wheel"]["packages"] == ["jaxgrad"]
