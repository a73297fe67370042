"""The probable cause of a difference, by trial: which change makes ours theirs?"""

from jaxgrad.inspection.comparison.guesses.table import guess as guess
