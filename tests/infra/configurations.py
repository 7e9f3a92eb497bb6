"""Terraform configurations: copied, made ready, tested, and broken on purpose."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terraform import MODULES, command_line_settings

SECONDS = 300
REFUSED = re.compile(r'run "\w+" \{(?:(?!\n\}).)*?expect_failures.*?\n\}\n', re.S)


@dataclass
class Copy:
    """A copy of a cloud's Terraform, beside what it reads of the repository."""

    cloud: str
    folder: Path
    ready: set[Path] = field(default_factory=set)

    def configuration(self, name: str) -> Path:
        """Return a configuration's folder with its modules and providers."""
        folder = self.folder / name
        if folder not in self.ready:
            ready = ("init", "-backend=false") if self.cloud == "google" else ("get",)
            done = self.run(folder, *ready, "-no-color")
            assert done.returncode == 0, done.stdout + done.stderr
            self.ready.add(folder)
        return folder

    def broken(self, name: str, file: str, old: str, new: str) -> Path:
        """Return a copy of a configuration in which a text is another; beside the original.

        What its tests expect to be refused is left out, but where what is refused was broken.
        """
        original = self.configuration(name)
        folder = original.with_name(f"{original.name}-broken")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder, symlinks=True)
        text = (folder / file).read_text()
        assert old in text, f"{name}/{file} has no {old!r}: mend the test"
        (folder / file).write_text(text.replace(old, new))
        if file != "variables.tf":
            for path in folder.glob("*.tftest.hcl"):
                path.write_text(REFUSED.sub("", path.read_text()))
        return folder

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = {"TF_CLI_CONFIG_FILE": str(command_line_settings(self.cloud))}
        return subprocess.run(
            ["terraform", *arguments],
            cwd=folder,
            env={**os.environ, **settings, "CHECKPOINT_DISABLE": "1", "GOGC": "400"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def test(self, folder: Path, *, plans: bool = False) -> list[dict[str, Any]]:
        """Run the tests of a configuration, and return what they said; plans take twice as long."""
        done = self.run(folder, "test", "-json", *(["-verbose"] if plans else []))
        return [json.loads(line) for line in done.stdout.splitlines()]


def copied(cloud: str, folder: Path) -> Copy:
    """Copy a cloud's Terraform, where the files that it reads lie as in the repository."""
    infra = folder / "infra"
    local = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(MODULES / cloud, infra / "terraform" / cloud, ignore=local)
    shutil.copytree(MODULES.parent / "dataflow", infra / "dataflow")
    return Copy(cloud, infra / "terraform" / cloud)


def configurations(cloud: str) -> list[str]:
    """Return the folders with tests of a cloud's Terraform."""
    root = MODULES / cloud
    return sorted({str(f.parent.relative_to(root)) for f in root.rglob("*.tftest.hcl")})


def failures(events: list[dict[str, Any]]) -> list[str]:
    """Return what went wrong in tests, one message each."""
    return [
        f"{event['diagnostic']['summary']}: {event['diagnostic']['detail']}"
        for event in events
        if event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error"
    ]


def summary(events: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many runs passed, and how many did not."""
    told = next(event["test_summary"] for event in events if event["type"] == "test_summary")
    return told["passed"], told["failed"] + told["errored"]


def planned(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the resources that the first test's plan creates."""
    plan = next(event["test_plan"] for event in events if event["type"] == "test_plan")
    return [change for change in plan["resource_changes"] if change["mode"] == "managed"]
