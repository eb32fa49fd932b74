"""Step handlers, the views they see, their registry, and the invocation of one attempt."""
