"""`python -m experiments.backprop`."""

from experiments._command import run_as_script
from experiments.backprop import main

run_as_script(main)
