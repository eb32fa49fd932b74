"""Kafka: requests come in from a topic, events go out to one; the log stays the only truth."""
