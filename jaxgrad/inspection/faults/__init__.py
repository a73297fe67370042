"""What can be wrong with a gradient: one fault per file or folder."""
