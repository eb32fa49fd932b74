"""One suite per port of the log, run on every adapter."""
