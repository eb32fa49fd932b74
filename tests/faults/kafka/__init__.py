"""Histories with a broker: real workers, a real Kafka and a real PostgreSQL, to which things are done from outside."""
