"""What can go wrong between Tasker and a broker."""

from __future__ import annotations

from tasker.errors import TaskerError


class BrokerUnavailable(TaskerError):
    """The broker does not answer, or not in time; nothing is lost, try again."""


class PublishRefused(TaskerError):
    """The broker will not take a message, however often it is sent: too large, not allowed, no such topic."""


class WrongTopic(TaskerError):
    """A topic is missing or is not as the settings ask."""


class Unsettled(TaskerError):
    """A batch was interrupted by a stop before everything in it was durable; nothing of it may be acknowledged."""
