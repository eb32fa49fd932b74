"""Durable subscriptions: readers of the log with a checkpoint, one owner at a time, retries and parking."""
