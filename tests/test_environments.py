"""The conda environments, read by repo2docker as Binder reads them: no container is built."""

from __future__ import annotations

import logging
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from repo2docker.app import Repo2Docker
from repo2docker.buildpacks import BuildPack, CondaBuildPack

from tests.helpers import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENTS = ["environment.yml", "binder/environment.yml"]


def build_pack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> BuildPack:
    """Choose the build pack for a repository as repo2docker does: the first that finds its files in the folder."""
    monkeypatch.chdir(folder)
    app = Repo2Docker(log=logging.getLogger("repo2docker"))
    packs = [pack(app.base_image) for pack in app.buildpacks]
    found = next(pack for pack in packs if pack.detect())
    found.platform = "linux/amd64"
    return found


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an environment's file, the only one in a folder with what it names."""
    for name in ("pyproject.toml", "constraints.txt", request.param):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path / request.param


def pip_lines(path: Path) -> list[str]:
    """What pip is told, one option or requirement a line."""
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    [lines] = [item["pip"] for item in dependencies if isinstance(item, dict)]
    return list(lines)


def test_binder_builds_the_file_that_is_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = build_pack(REPOSITORY, monkeypatch)
    assert isinstance(pack, CondaBuildPack)
    assert pack.environment_yaml_path == "binder/environment.yml"


def test_the_build_pack_stages_the_repository_before_it_installs(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = build_pack(tmp_path, monkeypatch)
    assert isinstance(pack, CondaBuildPack)
    assert pack.python_version in PROJECT["requires-python"]
    dockerfile = pack.render()
    copied = dockerfile.index("COPY --chown=1000:1000 src/ ${REPO_DIR}/")
    assert (
        dockerfile.index(f'env update -p ${{NB_PYTHON_PREFIX}} --file "{environment.relative_to(tmp_path)}"') > copied
    )


def test_what_pip_is_told_lies_beside_the_environment(environment: Path) -> None:
    """Conda and mamba run pip in the folder of the environment's file, on a list of requirements written there."""
    options = dict(line.split(maxsplit=1) for line in pip_lines(environment))
    place, extras = re.fullmatch(r"(\.+)\[(.+)\]", options["--editable"]).groups()
    assert (environment.parent / place / "pyproject.toml").is_file()
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert (environment.parent / options["--constraint"]).is_file()


def test_binder_gets_the_torch_for_processors() -> None:
    """The one on PyPI for Linux brings gigabytes for GPUs, which Binder does not have."""
    [index] = re.findall(r"PIP_EXTRA_INDEX_URL: (\S+)", (REPOSITORY / ".github/workflows/test.yml").read_text())
    assert f"--extra-index-url {index}" in pip_lines(REPOSITORY / "binder/environment.yml")
