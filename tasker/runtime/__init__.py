"""The imperative shell: use cases, the leader that decides and appends, the runner, timers and recovery."""
