"""`python -m experiments.arrays`."""

from experiments._command import run_as_script
from experiments.arrays import main

run_as_script(main)
