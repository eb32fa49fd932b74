"""A module that cannot be imported."""

LIMIT = 1 / 0
