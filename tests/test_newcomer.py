"""A newcomer's first changes: an activation and a surface, in under ten lines each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guides" / "change_an_experiment.md").read_text("utf-8")
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL))
PRINTED = {"my_activation.py": "", "my_surface.py": "trough: 16 learning rates"}
PICTURES = {"my_activation.py": "squared_relu.png", "my_surface.py": "trough.png"}


def test_the_guide_has_both_programs():
    assert PROGRAMS.keys() == PRINTED.keys()


@pytest.mark.parametrize("name", PRINTED)
def test_a_changed_experiment_takes_under_ten_lines(name, tmp_path):
    program = PROGRAMS[name]
    assert len([line for line in program.splitlines() if line.strip()]) < 10
    (tmp_path / name).write_text(program, "utf-8")
    ran = subprocess.run(
        [sys.executable, name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(PRINTED[name])
    assert (tmp_path / PICTURES[name]).read_bytes().startswith(b"\x89PNG")
