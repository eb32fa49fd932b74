"""Handlers that the definitions under test name."""

from tasker.definitions.declare import TaskHandler


class Look:
    """A step as a class."""

    def process(self, task, sequence, step):
        """Give nothing."""

    class Closer:
        """A class inside a class."""

        def process(self, task, sequence, step):
            """Give nothing."""


class Hooked(TaskHandler):
    """A class with the hook."""

    def update_annotations(self, task, sequence, steps):
        """Annotate."""


class NoHandler:
    """A class without `process`."""


def pay(task, sequence, step):
    """Give nothing."""


def narrow(task):
    """Take too few arguments."""


def identify(request):
    """Give an identity."""
    return "one"


NUMBER = 1
