"""`python -m experiments.cross_entropy`."""

from experiments._command import run_as_script
from experiments.cross_entropy import main

run_as_script(main)
