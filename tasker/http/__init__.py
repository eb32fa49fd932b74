"""The HTTP API: routes over the engine's use cases, authentication, server-sent events; no rule lives here."""
