"""The composition root: `Tasker`, composed of one class per group of its face, and its asynchronous wrapper."""
