"""Histories with real kills, and the invariants that each of them must hold."""
