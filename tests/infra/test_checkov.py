"""Checkov finds nothing that is not explained where it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from terraform import MODULES

CHECKOV = "checkov==3.3.30"
"""In an environment of its own: what it needs clashes with ours."""
SKIP = re.compile(r"#checkov:skip=(CKV2?_\w+):(.*)")


@pytest.mark.slow
def test_findings_are_explained() -> None:
    own = [sys.executable, "-m", "uv", "tool", "run", "--system-certs", CHECKOV]
    if subprocess.run([*own, "--version"], capture_output=True).returncode:
        pytest.skip(f"{CHECKOV} cannot be installed here")
    only = ["--framework", "terraform", "--skip-download", "--output", "json"]
    command = [*own, "--directory", str(MODULES), *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    found = json.loads(done.stdout)
    failed = {(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]}
    assert failed == set()
    assert found["summary"]["passed"] > 250
    assert found["summary"]["parsing_errors"] == 0
    skipped = {one["check_id"] for one in found["results"]["skipped_checks"]}
    written = {
        check for path in MODULES.rglob("*.tf") for check, _ in SKIP.findall(path.read_text())
    }
    assert written == skipped, "a skip that skips nothing"


def test_skips_say_why() -> None:
    for path in MODULES.rglob("*.tf"):
        for check, why in SKIP.findall(path.read_text()):
            assert len(why.split()) >= 5, f"{path}: {check}"
