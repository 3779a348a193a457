"""Makefile, workflows, hooks, oldest versions and licenses are consistent with each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest
import yaml

from tests.helpers import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE))
CONSTRAINTS = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
ADDRESSED = [*WORKFLOWS, *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", ".ci/run"))]
PICTURES_AND_WEIGHTS = (".png", ".pdf", ".jpg", ".svg", ".safetensors", ".ipynb")


def committed() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return listed.stdout.split("\0")


@pytest.mark.parametrize("path", ADDRESSED, ids=lambda path: path.name)
def test_every_target_named_exists(path: Path) -> None:
    text = re.sub(r"\$\{\{.*?\}\}", "VALUE", path.read_text(encoding="utf-8"))
    lines = re.findall(r"(?:^|`|run: | {4})make((?: -\S+| [A-Z]+=\S+| [a-z][a-z-]*)+)", text, flags=re.MULTILINE)
    named = {word for line in lines for word in line.split() if word[0].islower()}
    assert named
    assert named <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_listen_to_main_or_the_clock_and_call_the_makefile(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    triggers = workflow[True]  # YAML reads the key `on` so
    assert "schedule" in triggers or triggers["push"]["branches"] == ["main"]
    for job in workflow["jobs"].values():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert len(commands) == (0 if "needs" in job else 1)  # a job that publishes what another has made runs nothing
        assert all(re.search(r"^make |\.ci/run\b", command) for command in commands)


def test_make_help_comes_first_and_lists_what_is_described() -> None:
    assert re.search(r"^[a-z][a-z-]*(?=:)", MAKEFILE, flags=re.MULTILINE)[0] == "help"
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # also below make
    said = subprocess.run(["make"], cwd=REPOSITORY, env=alone, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in said.splitlines()} == set(
        re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)
    )


def test_make_clean_keeps_data_figures_and_the_environment(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    kept = ["data/scan.nii.gz", "figures/run/table.csv", ".venv/bin/python", "dainet/device.py"]
    gone = ["runs/dino/key/student.safetensors", "build/lib/x.py", "dainet/__pycache__/x.pyc", ".ruff_cache/x"]
    gone += ["teaching/_build/index.html", "book/_build/html/index.html"]
    for folder in ("benchmarks", "book", "data_scripts", "notebooks", "study", "teaching", "tests"):
        (tmp_path / folder).mkdir()
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert [name for name in kept + gone if (tmp_path / name).exists()] == kept


def test_hooks_use_the_versions_of_the_reference_results() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    pinned = {pin for hook in hooks for pin in hook["additional_dependencies"]}
    assert {"ruff", "codespell"} <= {pin.split("==")[0] for pin in pinned}
    assert {pin for pin in pinned if not pin.startswith("pre-commit-hooks==")} <= set(CONSTRAINTS)


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = chain(project["dependencies"], *project["optional-dependencies"].values())
    bounds = {f"{match[1]}=={match[2]}" for item in requirements if (match := re.match(r"([\w.-]+)>=([\w.]+)", item))}
    lines = (REPOSITORY / ".github/oldest.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == bounds


def test_every_picture_weight_and_result_has_one_license() -> None:
    notice = (REPOSITORY / "NOTICE.md").read_text(encoding="utf-8")
    patterns = re.findall(r"^\| `([^`]+)` \|", notice, flags=re.MULTILINE)
    for name in committed():
        if Path(name).suffix in PICTURES_AND_WEIGHTS or fnmatch(name, "figures/*/*"):
            assert sum(fnmatch(name, pattern) for pattern in patterns) == 1, name


def test_notebooks_with_numbers_of_real_patients_have_the_license_of_these() -> None:
    rows = re.findall(
        r"^\| `(notebooks/[^`]+)` \|.*\| (.*) \|$", (REPOSITORY / "NOTICE.md").read_text("utf-8"), flags=re.MULTILINE
    )
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        (terms,) = (terms for pattern, terms in rows if fnmatch(f"notebooks/{path.name}", pattern))
        assert ("CC BY-NC-SA" in terms) == ("dainet.lessons.evidence" in path.read_text(encoding="utf-8")), path.name


def test_the_changelog_has_this_version_and_the_kinds_of_change() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    project = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    version = yaml.safe_load(project)["version"]
    released = re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)
    assert released[:2] == ["Unreleased", version]
    kinds = set(re.findall(r"^### (.+)$", changelog, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
