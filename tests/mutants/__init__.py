"""Check that the seed results detect faults: `python -m tests.mutants [NAME ...]`.

Each mutant is a copy of the code with one small fault in it, such as a sign or a
constant. Its experiment must then disagree with a row of the seed results.
"""
