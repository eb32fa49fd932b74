"""Events to bytes and back: the registry of system types, rows, recorded events, CloudEvents, definitions, chain."""
