"""What can be wrong with a gradient: one fault a file, and hints that mend it."""
