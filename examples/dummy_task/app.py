"""dummy_task: `python app.py` runs one in memory."""

from tasker import StepHandler, StepTemplate, Tasker, TaskHandler, task_handler


class Dummy(StepHandler):
    def process(self, task, sequence, step):
        return {"dummy": True}


@task_handler("dummy_task")
class DummyTask(TaskHandler):
    schema = {"type": "object", "required": ["dummy"], "properties": {"dummy": {"type": "boolean"}}}
    step_templates = [
        StepTemplate(name="step-one", handler_class=Dummy),
        StepTemplate(name="step-two", handler_class=Dummy),
        StepTemplate(name="step-three", handler_class=Dummy, depends_on_step="step-two"),
        StepTemplate(name="step-four", handler_class=Dummy, depends_on_step="step-three"),
    ]

    def update_annotations(self, task, sequence, steps):
        for step in steps:
            task.annotate("dummy-annotation", {"step": step.name, "dummy": step.results["dummy"]})


def register(app):
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
    for value in run():
        print(value)
