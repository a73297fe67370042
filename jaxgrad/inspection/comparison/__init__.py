"""Two reports side by side: which arrays correspond, and where they part."""
