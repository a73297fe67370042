"""Programs for the page of limitations, and what explain does with each."""
