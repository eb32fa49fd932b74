"""Which logs this release works with: the form of their schema, and the form of what is written into them.

A revision of the schema only adds while workers run, so a release goes on under the revisions of the next one. The
format counts what is written: a newer release reads what is new from its start, and writes it once the upgrade is
finished, when no worker of the older release is left. From then on that release refuses the log.
"""

from __future__ import annotations

import logging

from tasker.errors import LogUnavailable
from tasker.log.migrations import REVISIONS

FORMAT = 1
"""The newest format of stored events that this release reads and writes."""

_logger = logging.getLogger("tasker.log")


def is_current(form: int, revision: str, where: str) -> bool:
    """Say whether a log has what this release needs; False if it has to be upgraded first.

    Args:
        form: The format of the log.
        revision: The revision of its schema.
        where: The database, for people.

    Raises:
        LogUnavailable: A newer release has finished its upgrade, or the revision is none.
    """
    newest = REVISIONS[-1]
    prepared = len(revision) == len(newest) and revision.isdigit() and revision > newest
    if form > FORMAT or not (revision in REVISIONS or prepared):
        msg = (
            f"{where}: written by a newer release of Tasker (format {form}, revision {revision}; this release knows "
            f"format {FORMAT}, revision {newest}). Install that release, or name another database."
        )
        raise LogUnavailable(msg)
    if prepared:
        _logger.info("%s: a newer release has prepared this log (revision %s); upgrade this one soon", where, revision)
    return prepared or revision == newest
