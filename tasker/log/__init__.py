"""The event log: the port, its adapters, and what lives beside the log in the same database."""
