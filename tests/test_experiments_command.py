"""The frame of the experiments, and their command lines."""

import errno
import importlib
import json
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from experiments import __main__ as together
from experiments.__main__ import EXPERIMENTS
from experiments._command import parse, run_as_script
from experiments._frame import Options, at_least, save_figures


@dataclass(frozen=True)
class Config:
    """An experiment."""

    output_dir: Path = Path("results")
    """Where to write."""


def test_an_unwritable_folder_ends_the_run_before_its_work(tmp_path, capsys):
    occupied = tmp_path / "file"
    occupied.touch()
    for folder in (occupied, occupied / "inside"):

        def main(folder=folder):
            parse(Config, ["--output-dir", str(folder)], "experiment")
            raise AssertionError("the work has begun")

        with pytest.raises(SystemExit) as caught:
            run_as_script(main)
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("error: --output-dir: expected a folder to write in")
        assert said.count("\n") == 1 and str(folder) in said


def test_a_full_disk_is_reported_with_the_folder(tmp_path, monkeypatch):
    class Full:
        def __init__(self, dir):
            assert dir == tmp_path

        def __enter__(self):
            return self

        def __exit__(self, *fault):
            return None

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("experiments._command.TemporaryFile", Full)
    with pytest.raises(OSError, match=r"got .* instead \(No space left on device"):
        parse(Config, ["--output-dir", str(tmp_path)], "")


def test_parsing_creates_no_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    assert parse(Config, ["--output-dir", str(folder)], "").output_dir == folder
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_fits_the_frame(name):
    module = importlib.import_module(f"experiments.{name}")
    for part in ("Config", "run", "report", "figures", "reproduced", "main"):
        assert callable(getattr(module, part))


def test_an_experiment_runs_as_a_script():
    command = [sys.executable, "-m", "experiments.backprop", "--epochs", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: --epochs: expected at least 2, got 0 instead.\n"


def test_at_least_names_the_option():
    @dataclass(frozen=True)
    class Sized(Options):
        batch_size: int = 0

    config = Sized(output_dir=Path())
    at_least(config, batch_size=0)
    with pytest.raises(ValueError, match="--batch-size: expected at least 1, got 0"):
        at_least(config, batch_size=1)


def test_an_experiment_that_stops_does_not_end_the_others(
    tmp_path, monkeypatch, capsys
):
    def stops(options):
        raise SystemExit("error: the loss is nan")

    names = {"first": stops, "second": lambda options: None}
    for name, main in names.items():
        module = types.SimpleNamespace(main=main, reproduced=lambda _: {"0.1": 1.0})
        monkeypatch.setitem(sys.modules, f"experiments.{name}", module)
    monkeypatch.setattr(together, "EXPERIMENTS", [*names])
    with pytest.raises(SystemExit) as end:
        together.main(["--dataset", "digits", "--output-dir", str(tmp_path)])
    assert end.value.code == 1
    printed = capsys.readouterr()
    assert printed.err == "first: error: the loss is nan\n"
    assert (
        "\nsecond" in printed.out and "\nfirst " not in printed.out.split("Verdict")[0]
    )
    rows = json.loads((tmp_path / "reproduction.json").read_text())
    assert [row["row"] for row in rows if row["agrees"] is not None] == ["0.1"]


def test_an_experiment_that_is_named_twice_runs_once(tmp_path, monkeypatch, capsys):
    module = types.SimpleNamespace(main=lambda _: None, reproduced=lambda _: {})
    monkeypatch.setitem(sys.modules, "experiments.port", module)
    config = together.Config(only=("port", "port"), output_dir=tmp_path)
    (outcome,) = together.run(config)
    assert outcome.name == "port" and capsys.readouterr().out.count("port") == 1


def test_one_figure_is_not_called_figures(tmp_path, capsys):
    for count, words in ((0, "0 figures"), (1, "1 figure"), (2, "2 figures")):
        save_figures({str(i): Figure() for i in range(count)}, tmp_path)
        assert capsys.readouterr().out == f"\n{words} written to {tmp_path}\n"
