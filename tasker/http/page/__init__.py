"""The dashboard: pages rendered on the server over the same use cases and guards as the API; no rule lives here."""
