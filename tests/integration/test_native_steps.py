"""Native handlers in an engine: where their libraries are looked up, and what a worker goes through unharmed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from tasker import NativeStepHandler, StepTemplate, TaskDefinition, Tasker
from tests import samples
from tests.unit.handlers.native_kit import compiled, shared

ROOT = Path(__file__).resolve().parents[2]
ANSWERING = """
#include <stdlib.h>
#include <string.h>
#include "tasker_handler.h"
TASKER_EXPORT uint32_t tasker_abi_version(void) { return TASKER_ABI_VERSION; }
TASKER_EXPORT void tasker_free(uint8_t *out, size_t out_len) { (void)out_len; free(out); }
TASKER_EXPORT int32_t handle(const uint8_t *in, size_t in_len, uint8_t **out, size_t *out_len) {
    (void)in; (void)in_len;
    *out = malloc(sizeof ANSWER - 1);
    memcpy(*out, ANSWER, sizeof ANSWER - 1);
    *out_len = sizeof ANSWER - 1;
    return 0;
}
"""
YAML = """\
name: {name}
step_templates:
  - name: price
    handler_class: tasker.NativeStepHandler
    handler_config: {{type: native, library: price}}
"""
MODULE = """\
from tasker import NativeStepHandler, StepTemplate, TaskHandler, task_handler


@task_handler("in_code")
class InCode(TaskHandler):
    step_templates = [StepTemplate(name="price", handler_class=NativeStepHandler, handler_config={"library": "price"})]
"""


@pytest.fixture
def app():
    """Give an engine in memory."""
    with Tasker("memory://", settings={}) as one:
        yield one


def finished(app: Tasker, name: str):
    """Run a task to its end, and give it."""
    task = app.submit(name=name, context={})
    return app.run_until_complete(task.id, timeout=60)


def test_a_library_is_looked_up_beside_its_definition(app, tmp_path, monkeypatch):
    """Each definition finds its own library, whatever the others call theirs: of a file, of a class, loaded late."""
    for name in ("one", "two", "in_code"):
        folder = tmp_path / name
        folder.mkdir()
        shared(ANSWERING, folder / "libprice.so", f'-DANSWER="\\"{name}\\""')
        (folder / "plan.yaml").write_text(YAML.format(name=name))
    (tmp_path / "in_code/plan.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    app.load_definitions("one")
    app.register(module(tmp_path / "in_code/plan.py", monkeypatch).InCode)
    app.start()
    app.load_definitions("two")
    monkeypatch.chdir("/")
    for name in ("one", "two", "in_code"):
        assert finished(app, name).step("price").results == name


def module(path: Path, monkeypatch):
    """Write and import a module with a definition."""
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("native_plan", path)
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "native_plan", made)
    spec.loader.exec_module(made)
    return made


def test_a_worker_outlives_panics(app, monkeypatch):
    """A panic in either kind of handler fails its step for good; the worker runs the next task."""
    folder = samples.needed()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    library = str(folder / "json_handler")
    for handlers in ({"bad": "typed_handler:panics"}, {"bad": NativeStepHandler(library, symbol="panics")}):
        steps = [StepTemplate(name=name, handler_class=handler) for name, handler in handlers.items()]
        app.register(TaskDefinition(name="panics", step_templates=steps), replace=True)
        task = finished(app, "panics")
        assert (task.status, task.step("bad").error.code, task.step("bad").attempts) == ("error", "PANIC", 1)
    good = {"typed": "typed_handler:handle", "json": NativeStepHandler(library)}
    steps = [StepTemplate(name=name, handler_class=handler) for name, handler in good.items()]
    app.register(TaskDefinition(name="works", step_templates=steps))
    assert {step.results["dummy"] for step in finished(app, "works").steps.values()} == {True}


def test_the_engine_runs_two_steps_in_native_code_at_once(app, tmp_path):
    """Two steps that wait for each other inside of a library complete: neither holds the interpreter's lock."""
    library = str(compiled(tmp_path) / "libsample")
    meet = NativeStepHandler(library, symbol="meet")
    steps = [StepTemplate(name=name, handler_class=meet) for name in ("one", "other")]
    app.register(TaskDefinition(name="meeting", step_templates=steps))
    app.start()
    assert [step.results for step in finished(app, "meeting").steps.values()] == [True, True]


def test_the_typed_sample_gets_the_name_that_python_imports(monkeypatch, tmp_path):
    """What cargo calls `lib…` is found under the module's own name, once it is built; a dead link is made anew."""
    monkeypatch.syspath_prepend(ROOT / "_build")
    cargo = importlib.import_module("cargo")
    monkeypatch.setattr(cargo, "RELEASE", tmp_path)
    cargo.name_module()
    assert not list(tmp_path.iterdir())
    module = tmp_path / "typed_handler.abi3.so"
    module.symlink_to("gone")
    built = tmp_path / "libtyped_handler.so"
    built.touch()
    for _ in range(2):
        cargo.name_module()
        assert module.resolve() == built
