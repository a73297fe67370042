"""The planted bugs of each network, and other correct code for the same numbers."""
