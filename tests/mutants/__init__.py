"""Do the rows of the seed results bite? `python -m tests.mutants [NAME ...]`.

Each mutant is a copy of the code with one small fault in it, such as a sign or a
constant. The experiment concerned must then disagree with a row of the seed results.
"""
