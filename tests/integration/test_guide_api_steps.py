"""The guide about API steps, beyond its Python: every configuration that it shows is one, and its figures are true."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
import yaml

from tasker.handlers import api_body, api_client, api_config
from tasker.testing import FrozenClock, run_step
from tests.integration.api_kit import Call, certificate, reply, run_api, stub
from tests.integration.test_docs import Block, blocks, is_file

PAGE = Path(__file__).resolve().parents[2] / "docs/guides/api-steps.md"
YAML = [block for block in blocks(PAGE) if block.language == "yaml"]


def configurations(block: Block) -> list[dict[str, object]]:
    """Give the configurations that a block shows."""
    shown = yaml.safe_load(block.body)
    return [one["handler_config"] for one in shown.get("step_templates", [shown])]


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set the variables of the page, and give a certificate for its files."""
    ours = certificate(tmp_path, password=b"password-1")
    for name in ("CARRIER_KEY", "TASKER_KEY_PASSWORD"):
        monkeypatch.setenv(name, "password-1")
    monkeypatch.setenv("CARRIER_URL", "https://carrier.example/")
    return ours


@pytest.mark.parametrize("block", YAML, ids=lambda block: f"line {block.line}")
def test_its_configurations_are_accepted(block, environment):
    """Each is registered, builds a client, and asks the address that it names."""
    for config in configurations(block):
        files = {
            "ca_file": str(environment.file),
            "client_cert": str(environment.file),
            "client_key": str(environment.key),
        }
        if "ssl" in config:
            assert config["ssl"].keys() == {*files, "client_key_password"}
            config["ssl"] |= files
        asked = []
        transport = httpx2.MockTransport(lambda request, asked=asked: asked.append(request) or httpx2.Response(200))
        assert run_step(Call, config=config, transport=transport).error is None
        assert asked[0].url.scheme == "https"


def test_the_steady_pace():
    """The configuration for patience waits as long as it says, however often it has failed."""
    (config,) = configurations(YAML[-1])
    with stub() as server:
        server.on("/", reply(500))
        ended = run_api(Call, FrozenClock(), **(config | {"url": server.url, "jitter": 0}))
    assert (ended.retry["backoff_type"], ended.retry["delay_seconds"]) == ("constant", 15)


def test_its_figures_are_true():
    """The figures of the page are those of the code; its table names every key that is checked."""
    page = PAGE.read_text(encoding="utf-8")
    assert f"{api_body.MAX_BODY // 1024 // 1024} MiB" in page
    assert f"at most {api_client.LIMITS.max_connections} connections" in page
    assert api_client.MAX_REDIRECTS == 5
    assert re.search(rf"\| `timeout_seconds` .* \| {api_config.TIMEOUT_SECONDS:.0f} \|", page)
    assert all(f"`{key}`" in page for key in (*api_config._SSL_KEYS, "url", "params", "headers", "accept", "ssl"))
    assert len([block for block in blocks(PAGE) if is_file(block)]) == 3
