"""The notebooks re-created: `python -m experiments`, `python -m experiments.NAME`."""

import sys

if sys.argv[:1] == ["-m"]:  # Python is about to import the module that it will run
    from experiments._script import begin

    begin()
