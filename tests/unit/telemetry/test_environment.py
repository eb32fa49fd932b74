"""Rules of what the standard OTEL_ variables ask for."""

from __future__ import annotations

import logging

import pytest

from tasker.telemetry.environment import METRICS, TRACES, exporters, service, wanted

OTLP = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("variables", "traces", "metrics"),
    [
        ({}, (), ()),
        ({"OTEL_SERVICE_NAME": "shop"}, (), ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": OTLP}, ("otlp_proto_http",), ("otlp_proto_http",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": OTLP}, ("otlp_proto_http",), ()),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": OTLP}, (), ("otlp_proto_http",)),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console",), ()),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ("otlp_proto_http", "console"), ()),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": OTLP}, (), ("otlp_proto_http",)),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("otlp_proto_grpc",), ()),
        (
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            ("otlp_proto_http",),
            (),
        ),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": OTLP}, (), ()),
    ],
)
def test_the_variables_choose_the_exporters(variables, traces, metrics):
    """An exporter is named, or follows from an endpoint; without any variable nothing is sent."""
    assert wanted(variables, TRACES) == traces
    assert wanted(variables, METRICS) == metrics


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, {"service.name": "configured"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"}, {"service.name": "configured"}),
        ({"OTEL_SERVICE_NAME": "variable"}, {}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=variable"}, {}),
    ],
)
def test_the_variables_win_over_the_setting(variables, named):
    """`telemetry.service_name` is used unless a variable names the service."""
    assert service(variables, "configured") == named


def test_an_exporter_that_is_not_installed_is_named_with_the_line_that_installs_it(caplog):
    """What the variables ask for and is not there is an error in the log; the others are made."""
    with caplog.at_level(logging.ERROR):
        found = exporters({"OTEL_TRACES_EXPORTER": "zipkin,console"}, TRACES)
    assert [type(one).__name__ for one in found] == ["ConsoleSpanExporter"]
    assert "zipkin" in caplog.text
    assert "pip install 'tasker-engine[otel]'" in caplog.text


def test_an_exporter_that_cannot_be_made_is_left_out(monkeypatch, caplog):
    """A constructor that raises costs its exporter; its text, which may quote a key, is not logged."""

    class Broken:
        def load(self):
            raise ValueError("api-key=hunter2")

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [Broken()])
    with caplog.at_level(logging.ERROR):
        assert exporters({"OTEL_TRACES_EXPORTER": "otlp"}, TRACES) == []
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text
