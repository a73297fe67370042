"""What the command lines of all experiments share."""

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments._command import parse, run_as_script


@dataclass(frozen=True)
class Config:
    """An experiment."""

    output_dir: Path = Path("results")
    """Where to write."""


def test_a_folder_that_cannot_be_written_ends_the_run_before_its_work(tmp_path, capsys):
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


def test_a_full_disk_is_told_with_the_folder(tmp_path, monkeypatch):
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


def test_nothing_is_made_before_the_other_options_are_checked(tmp_path):
    folder = tmp_path / "a" / "b"
    assert parse(Config, ["--output-dir", str(folder)], "").output_dir == folder
    assert list(tmp_path.iterdir()) == []
