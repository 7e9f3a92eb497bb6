"""Each configuration is formatted, valid, tested, told of, and its tests notice what is broken."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from configurations import Copy, configurations, failures, summary
from mutations import MUTATIONS, chosen
from terraform import MODULES

CLOUDS = [cloud for cloud in ("google", "aws") if (MODULES / cloud).is_dir()]
EACH = [(cloud, name) for cloud in CLOUDS for name in configurations(cloud)]
WHOLE = [(cloud, name) for cloud, name in EACH if name.startswith("envs/")]
PARTS = [(cloud, name) for cloud, name in EACH if name.startswith("modules/")]
NAMES = {"lake", "events", "spark", "schedule", "identity", "alerts", "registry"}
FILES = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "iam.tf", "README.md"}


def test_there_is_a_module_for_each_responsibility() -> None:
    for cloud in CLOUDS:
        found = {name.removeprefix("modules/") for at, name in PARTS if at == cloud}
        assert found - NAMES == {{"google": "dataflow", "aws": "containers"}[cloud]}
        assert found >= NAMES


@pytest.mark.parametrize("cloud", CLOUDS, indirect=True)
def test_files_are_formatted(cloud: Copy) -> None:
    done = cloud.run(cloud.folder, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("cloud", "name"), EACH, indirect=["cloud"])
def test_tests_of_a_configuration_pass(cloud: Copy, name: str) -> None:
    events = cloud.test(cloud.configuration(name))
    assert failures(events) == []
    assert summary(events)[0] >= 1


@pytest.mark.parametrize(("cloud", "name"), WHOLE, indirect=["cloud"])
def test_an_environment_is_valid(cloud: Copy, name: str) -> None:
    done = cloud.run(cloud.configuration(name), "validate", "-json")
    told = json.loads(done.stdout)
    assert told["valid"], told["diagnostics"]
    warnings = {one["summary"] for one in told["diagnostics"]}
    assert warnings <= {"Provider development overrides are in effect"}


@pytest.mark.parametrize(("cloud", "name"), PARTS)
def test_a_module_has_its_files_and_refuses_something(cloud: str, name: str) -> None:
    folder = MODULES / cloud / name
    assert {path.name for path in folder.iterdir()} >= FILES
    tests = (folder / f"{folder.name}.tftest.hcl").read_text()
    validated = re.findall(
        r'variable "(\w+)" \{(?:(?!\n\}).)*?validation', _variables(folder), re.S
    )
    lists = re.findall(r"expect_failures = \[(.*?)\]", tests)
    refused = set(re.findall(r"var\.(\w+)", " ".join(lists)))
    common = {
        "project",
        "account",
        "region",
        "name",
        "labels",
    }  # the same in each; tested by `identity`
    assert refused
    assert set(validated) - refused <= common | {
        "kms_key",
        "subnetwork",
        "lake",
        "landing",
        "image",
    }


@pytest.mark.parametrize(("cloud", "name"), PARTS)
def test_a_page_names_a_modules_inputs_and_outputs(cloud: str, name: str) -> None:
    folder = MODULES / cloud / name
    inputs, outputs = (folder / "README.md").read_text().split("## Outputs")
    declared = re.findall(r'^variable "(\w+)"', _variables(folder), re.M)
    given = re.findall(r'^output "(\w+)"', (folder / "outputs.tf").read_text(), re.M)
    assert re.findall(r"^\| `(\w+)`", inputs, re.M) == declared
    assert re.findall(r"^\| `(\w+)`", outputs, re.M) == given


@pytest.mark.parametrize("cloud", CLOUDS, indirect=True)
def test_the_pages_examples_are_valid(cloud: Copy) -> None:
    folder = cloud.folder / "examples"
    folder.mkdir()
    for name in (name for at, name in PARTS if at == cloud.cloud):
        page = (cloud.folder / name / "README.md").read_text()
        example = re.search(r"```hcl\n(.*?)```", page, re.S)
        assert example, name
        here = example[1].replace(f"infra/terraform/{cloud.cloud}", "..")
        (folder / f"{Path(name).name}.tf").write_text(here)
    shutil.copy2(cloud.folder / "platform" / "versions.tf", folder)
    done = cloud.run(cloud.configuration("examples"), "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("cloud", "name", "file", "old", "new"),
    [one for one in chosen() if one[0] in CLOUDS],
    indirect=["cloud"],
)
def test_tests_notice_what_is_broken(cloud: Copy, name: str, file: str, old: str, new: str) -> None:
    folder = cloud.broken(f"modules/{name}", file, old, new)
    events = cloud.test(folder)
    assert summary(events)[1] >= 1, f"{name}: {new!r} passed for {old!r}"


def test_each_module_is_broken_once() -> None:
    assert {(cloud, f"modules/{name}") for cloud, name, *_ in MUTATIONS} >= set(PARTS)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_environments_differ_in_their_variables_alone(cloud: str) -> None:
    dev, prod = (MODULES / cloud / "envs" / name for name in ("dev", "prod"))
    for path in sorted(dev.glob("*.tf")):
        assert path.read_text() == (prod / path.name).read_text(), path.name
    declared = (dev / "variables.tf").read_text()
    platform = (MODULES / cloud / "platform" / "variables.tf").read_text()
    names = re.compile(r'^variable "(\w+)"', re.M)
    assert names.findall(declared) == names.findall(platform)


def _variables(folder: Path) -> str:
    return (folder / "variables.tf").read_text()
