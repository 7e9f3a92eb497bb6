"""Who may do what, as a plan says it and as a page does: rows of account, role and resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[str, str, str]
POLICIES = (
    "aws_iam_role_policy",
    "aws_iam_policy",
    "aws_s3_bucket_policy",
    "aws_ecr_repository_policy",
    "aws_sns_topic_policy",
    "aws_kms_key",
)
ON = {
    "google_project_iam_member": "project",
    "google_kms_crypto_key_iam_member": "key",
    "google_artifact_registry_repository_iam_member": "repository",
    "google_cloud_run_v2_job_iam_member": "job",
    "google_service_account_iam_member": "account",
    "google_storage_bucket_iam_member": "bucket",
}


def google_rows(changes: list[dict[str, Any]]) -> set[Row]:
    """Return all bindings of a plan."""
    return {row for change in changes for row in _google(change)}


def _google(change: dict[str, Any]) -> Iterator[Row]:
    kind, values = change["type"], change["change"]["after"]
    if kind == "google_managed_kafka_acl":
        for entry in values["acl_entries"]:
            who = entry["principal"].removeprefix("User:")
            yield _account(who), entry["operation"], f"topic {values['acl_id'].split('/')[1]}"
    elif "_iam_" in kind and kind != "google_project_iam_custom_role":
        role = values["role"].removeprefix("roles/")
        custom = re.fullmatch(r"projects/.*/roles/isopach_\w+?_(\w+)", role)
        resource = values.get("bucket") or values.get("service_account_id") or ""
        name = re.split(r"@|/", resource.rpartition("/")[2])[0].rpartition("-")[2]
        role = f"custom {custom[1]}" if custom else role
        yield _account(values["member"].partition(":")[2]), role, f"{ON[kind]} {name}".strip()


def _account(address: str) -> str:
    """Return who that is: one of our accounts, a service's agent, or whoever the variables name."""
    if ours := re.match(r"isopach-prod-(\w+)@", address):
        return ours[1]
    if agent := re.match(r"service-\d+@([\w-]+)", address):
        return f"agent {agent[1]}"
    return "sites" if address.startswith("tills@") else "approvers"


def aws_rows(changes: list[dict[str, Any]]) -> set[Row]:
    """Return each action that a plan's policies allow, by who may do it."""
    return {row for change in changes for row in _aws(change)}


def _aws(change: dict[str, Any]) -> Iterator[Row]:
    values = change["change"]["after"]
    if change["type"] not in POLICIES:
        return
    for statement in json.loads(values["policy"])["Statement"]:
        if statement["Effect"] == "Allow":
            for who in _principals(statement, values):
                yield from (
                    (who, action, statement["Sid"]) for action in _listed(statement["Action"])
                )


def _principals(statement: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Return whom a policy is of: a role, whoever approves, or whom a resource's policy names."""
    named = statement.get("Principal")
    if named is None:
        return [values["role"].rpartition("-")[2] if values.get("role") else "approvers"]
    if "Service" in named:
        return [f"service {service.split('.')[0]}" for service in _listed(named["Service"])]
    return ["account" if who.endswith(":root") else "sites" for who in _listed(named["AWS"])]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def told_rows(page: Path) -> dict[Row, str]:
    """Return the table of a page: by binding, the command that needs it."""
    found: dict[Row, str] = {}
    for line in page.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and not set(line) <= {"|", "-"}:
            for account in cells[0].replace("`", "").split(", "):
                for role in cells[1].replace("`", "").split(", "):
                    found[account, role, cells[2]] = cells[3]
    del found["who", "may", "on"]
    return found
