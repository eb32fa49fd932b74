"""Programs of peers; each runs in a folder of its own with the peer's own Python and imports nothing of Tasker."""
