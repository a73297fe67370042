"""`python -m experiments.explain`."""

from experiments._command import run_as_script
from experiments.explain import main

run_as_script(main)
