"""What checks a proof without Tasker: a file that can be copied alone to another machine."""
