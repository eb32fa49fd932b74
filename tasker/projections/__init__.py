"""The read models: tasks, their steps and annotations as rows that can be searched, derived from the log alone."""
