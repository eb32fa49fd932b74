"""In-process signals: what this process appended, after the commit, in log order, to whoever listens."""
