"""What the wheel carries besides code: the console's pages and files, the register of laws, the list of jars.

hatchling puts every file of the listed packages that git does not ignore into the wheel, unless something is excluded
or selected otherwise (its rules: https://hatch.pypa.io/latest/config/build/). The same list is made here, laid out as
an installation, and looked at from there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = Path("dashboards/console")

_COMPILES_ALL = """
import sys
import dashboards.console.app as app
from dashboards.console.rendering import Renderer
assert app.__file__.startswith(sys.argv[1]), app.__file__
environment = Renderer()._environment
for name in environment.list_templates():
    environment.get_template(name)
print(*environment.list_templates())
"""


def build_settings() -> dict[str, object]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, object] = project["tool"]["hatch"]["build"]
    return found


def shipped() -> list[Path]:
    """Files of the wheel, as paths from the root on."""
    wheel = build_settings()["targets"]["wheel"]  # type: ignore[index]
    seen = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *wheel["packages"]],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [path for path in map(Path, filter(None, seen.split("\0"))) if (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the shipped files only."""
    if not (ROOT / ".git").exists():
        pytest.skip("what git ignores is known in a checkout only")
    folder = tmp_path_factory.mktemp("site")
    for path in shipped():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    return folder


def test_nothing_is_left_out_or_chosen_by_hand() -> None:
    assert build_settings() == {"targets": {"wheel": {"packages": ["pipeline", "detectors", "dashboards", "deploy"]}}}


def test_every_page_and_file_of_the_console_is_shipped(site: Path) -> None:
    for folder in (CONSOLE / "templates", CONSOLE / "static"):
        here = sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
        assert here
        assert here == sorted(path.relative_to(site) for path in (site / folder).rglob("*") if path.is_file())


def test_data_beside_the_code_is_shipped(site: Path) -> None:
    for name in (
        "pipeline/breach/laws.json",
        "pipeline/audit/register/laws.toml",
        "pipeline/audit/register/controls.toml",
        "pipeline/audit/register/queries.toml",
        "deploy/local/kafka-jars.lock",
        "deploy/local/environment.sh",
    ):
        assert (site / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_console_finds_every_template_and_file_it_names_where_it_is_installed(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMPILES_ALL, str(site)], cwd=site, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = set(done.stdout.split())
    code = "".join(path.read_text(encoding="utf-8") for path in (site / CONSOLE).glob("*/*.py"))
    pages = "".join(path.read_text(encoding="utf-8") for path in (site / CONSOLE / "templates").iterdir())
    named = set(re.findall(r'"(\w+\.html)"', code)) | set(
        re.findall(r'(?:include|import|extends) "(\w+\.html)"', pages)
    )
    assert len(named) > 25
    assert named <= there
    for file in re.findall(r"static\('([^']+)'\)", pages):
        assert (site / CONSOLE / "static" / file).is_file()
