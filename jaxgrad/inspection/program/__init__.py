"""What a function computes: its trace, grouped into the calls that the user wrote."""
