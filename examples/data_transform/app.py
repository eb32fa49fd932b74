"""data_transform on a stub export: `python app.py` fetches it, and shows what is kept."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from stub import Services

from tasker import Tasker


def register(app):
    app.load_definitions(Path(__file__).with_name("data_transform.yaml"))


@contextmanager
def house(url="memory://"):
    """Give an application; its customer system answers as long as the context lasts."""
    with Services() as services, Tasker(url, settings={}) as app:
        os.environ.update(services.variables)
        register(app)
        yield app


def transformed(app, export):
    """Fetch one export; give the task at its end."""
    task = app.submit(name="data_transform", context={"export": export})
    return app.run_until_complete(task.id, timeout=60)


if __name__ == "__main__":
    with house() as app:
        task = transformed(app, "customers")
        results = task.step("process_results").results
        print(f"{task.full_name}: {task.status}, {results['record_count']} records, the first:")
        print(json.dumps(results["data"][0], indent=2))
        print("by country:", task.step("count_by_country").results)
