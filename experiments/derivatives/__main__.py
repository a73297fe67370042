"""`python -m experiments.derivatives`."""

from experiments._command import run_as_script
from experiments.derivatives import main

run_as_script(main)
