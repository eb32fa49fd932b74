"""`tasker demo`: twenty orders, a gateway that misbehaves, a worker that is killed; and proof that all is well."""
