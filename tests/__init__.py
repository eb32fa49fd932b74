"""The tests of Tasker; a package, so that tests share helpers as `tests.<folder>.<module>`."""
