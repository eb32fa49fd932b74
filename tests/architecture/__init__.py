"""The house rules as tests: sizes, imports, documentation, and what may not stand in a file."""
