"""What a newcomer reads first is whole: guides are listed, folders explained, the chart of a task's life is drawn."""

from __future__ import annotations

import re
import tomllib

import pytest

from tasker.cli.doctor import version_of
from tests.architecture.source import GENERATED, ROOT, files, modules, read, report

HOUSE = "docs/ARCHITECTURE.md"
GUIDES = """
getting-started task-handlers step-handlers api-steps dependencies waiting-and-approvals events-and-subscribers kafka
telemetry native-handlers testing scheduling operations from-the-original why dashboard audit
"""


def charts(page: str) -> list[str]:
    """Give the bodies of the charts of a page."""
    return re.findall(r"^```mermaid\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL)


def test_every_guide_is_there_and_listed() -> None:
    """Each guide that was promised exists, and the README leads to every one there is."""
    there = {path.stem for path in (ROOT / "docs/guides").glob("*.md")}
    assert set(GUIDES.split()) <= there
    listed = set(re.findall(r"\]\(docs/guides/([\w-]+)\.md\)", read("README.md")))
    assert there - listed == set(), "the README does not lead to these guides"


@pytest.mark.parametrize("page", [p for p in files(".md") if p.split("/")[0] not in {"tests", "rust_ext"}])
def test_links_lead_somewhere(page: str) -> None:
    """What a document links to inside of the repository is there."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    targets = [one for one in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in one]
    missing = [f"{page}: {one}: nothing is there" for one in targets if not (ROOT / page).parent.joinpath(one).exists()]
    assert not missing, report(missing)


def test_one_chart_of_a_tasks_life() -> None:
    """README and architecture show the same chart, and the events in it are among those that there are."""
    (chart,) = charts("README.md")
    assert chart in charts(HOUSE)
    names = {path.name.partition(".v")[0] for path in (ROOT / "schemas").glob("*.v1.json")}
    told = {name for one in charts(HOUSE) for name in re.findall(r"\b(?:task|step)\.[a-z_]+", one)}
    assert told
    assert told <= names


def test_the_maps_are_whole() -> None:
    """The map of folders has every folder of the repository, the map of packages every package."""
    text = read(HOUSE)
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name not in GENERATED and not p.name.startswith(".")}
    packages = {m.path.split("/")[1] for m in modules("tasker") if m.path.count("/") > 1}
    missing = sorted(name for name in folders | packages if f"| `{name}` |" not in text)
    assert not missing, f"{HOUSE} has no row for {missing}"


def test_the_version_is_one() -> None:
    """The changelog begins with the version of the project, which the other packages and the installation have too."""
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[0] == version
    assert tomllib.loads(read("subscribers/pyproject.toml"))["project"].get("version", version) == version
    assert tomllib.loads(read("rust_ext/Cargo.toml"))["workspace"]["package"]["version"] == version
    assert version_of("tasker-engine") == version
