"""The indexes of live work, as a database has them and as the tables for queries say."""

from __future__ import annotations

import re


def indexes(found, where=None):
    """Give name, columns and condition of the indexes of live work, as a database or the tables for queries have it."""
    if where is None:
        return sorted(
            (index.name, [column.name for column in index.columns], str(index.dialect_options["sqlite"]["where"]))
            for index in found.indexes
        )
    return sorted(
        (index["name"], index["column_names"], re.sub("[()]", "", str(index["dialect_options"][where])))
        for index in found.get_indexes("live_work")
    )
