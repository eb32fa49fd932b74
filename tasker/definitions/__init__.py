"""Declarations, in YAML or in Python, become checked definitions that a `Tasker` keeps by version."""
