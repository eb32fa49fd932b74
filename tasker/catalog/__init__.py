"""The catalogue of events: every system event from the registry, and the custom events that definitions declare."""
