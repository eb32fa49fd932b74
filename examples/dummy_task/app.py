"""dummy_task: `python app.py` runs one in memory. Two of its handlers are Rust: `make rust` compiles them."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from tasker import NativeStepHandler, StepHandler, StepTemplate, Tasker, TaskHandler, task_handler
from tasker.errors import TaskerError

BUILT = Path(os.environ.get("NATIVE_HANDLERS") or Path(__file__).resolve().parents[2] / "rust_ext/target/release")
sys.path.append(str(BUILT))
MISSING = None
if find_spec("typed_handler") is None:
    MISSING = (
        f"expected the compiled handlers in {BUILT}, found none; run `make rust` in the checkout, which needs Rust"
        " (https://rustup.rs), or let NATIVE_HANDLERS name the folder that has them"
    )


class Dummy(StepHandler):
    def process(self, task, sequence, step):
        return {"dummy": True}


@task_handler("dummy_task")
class DummyTask(TaskHandler):
    schema = {"type": "object", "required": ["dummy"], "properties": {"dummy": {"type": "boolean"}}}
    step_templates = [
        StepTemplate(name="step-one", handler_class=Dummy),
        StepTemplate(name="step-two", handler_class=Dummy),
        StepTemplate(name="step-three", handler_class="typed_handler:handle", depends_on_step="step-two"),
        StepTemplate(
            name="step-four",
            handler_class=NativeStepHandler(str(BUILT / "libjson_handler")),
            depends_on_step="step-three",
        ),
    ]

    def update_annotations(self, task, sequence, steps):
        for step in steps:
            task.annotate("dummy-annotation", {"step": step.name, "dummy": step.results["dummy"]})


def register(app):
    if MISSING:
        raise TaskerError(MISSING)
    app.register(DummyTask)


def run(url="memory://"):
    """Run one task to its end."""
    with Tasker(url, settings={}) as app:
        register(app)
        task = app.submit(name="dummy_task", context={"dummy": True})
        app.run_until_complete(task.id, timeout=30)
        task = app.task(task.id)
        return (
            task.status,
            {s.name: s.results for s in task.steps.values()},
            [(a.type, a.value) for a in task.annotations],
        )


if __name__ == "__main__":
    if MISSING:
        sys.exit(MISSING)
    for value in run():
        print(value)
