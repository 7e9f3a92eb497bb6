"""What tests of modules must notice: in which file, which text becomes which."""

from __future__ import annotations

import os

OWNER = '"roles/owner"'
MUTATIONS = [
    ("google", "lake", "main.tf", '= "enforced"', '= "inherited"'),
    ("google", "lake", "main.tf", "matches_prefix = lifecycle_rule.value", "matches_prefix = []"),
    ("google", "lake", "main.tf", 'each.key == "lake" ?', 'each.key == "landing" ?'),
    ("google", "lake", "main.tf", "/_staging/2", "/_staging/"),
    ("google", "lake", "iam.tf", '"roles/storage.objectUser"', '"roles/storage.admin"'),
    ("google", "lake", "variables.tf", "var.staging_days >= 30", "var.staging_days >= 1"),
    ("google", "registry", "main.tf", "immutable_tags = true", "immutable_tags = false"),
    ("google", "registry", "iam.tf", '"roles/artifactregistry.reader"', OWNER),
    ("google", "events", "main.tf", "kms_key = var.kms_key", 'kms_key = ""'),
    ("google", "events", "main.tf", "var.retention_days * 86400000", "3600000"),
    ("google", "events", "iam.tf", '["READ", "DESCRIBE"]', '["ALL"]'),
    ("google", "dataflow", "main.tf", '"WORKER_IP_PRIVATE"', '"WORKER_IP_PUBLIC"'),
    ("google", "dataflow", "main.tf", "use_public_ips   = false", "use_public_ips   = true"),
    ("google", "dataflow", "main.tf", 'command = ["timeout"]', 'command = ["isopach"]'),
    ("google", "dataflow", "network.tf", '["12345-12346"]', '["0-65535"]'),
    ("google", "dataflow", "iam.tf", '"roles/run.jobsExecutorWithOverrides"', OWNER),
    ("google", "spark", "main.tf", "kmsKey         = var.kms_key", 'kmsKey         = ""'),
    ("google", "spark", "main.tf", '"--z-order"', '"--zorder"'),
    ("google", "schedule", "main.tf", "= each.value.time_zone\n", '= "Etc/UTC"\n'),
    ("google", "schedule", "main.tf", "sites        = each.value.sites", "sites        = []"),
    ("google", "schedule", "main.tf", "var.approve_hours * 3600", "var.approve_hours"),
    ("google", "identity", "iam.tf", '"roles/dataflow.worker"', '"roles/editor"'),
    ("google", "identity", "iam.tf", '"dataproc.batches.cancel"', '"dataproc.batches.delete"'),
    ("google", "identity", "variables.tf", "var.approvers : can(", "var.approvers : true || can("),
    ("google", "alerts", "main.tf", "threshold = var.lag_seconds", "threshold = 86400"),
    ("google", "alerts", "main.tf", "jsonPayload.differing>", "jsonPayload.held>"),
    ("aws", "lake", "main.tf", "block_public_policy     = true", "block_public_policy     = false"),
    ("aws", "lake", "main.tf", "prefix = rule.value", 'prefix = ""'),
    ("aws", "lake", "main.tf", "/_staging/2", "/_staging/"),
    ("aws", "lake", "iam.tf", '"s3:PutObject", "s3:AbortMultipartUpload"]', '"s3:*"]'),
    ("aws", "registry", "main.tf", '"IMMUTABLE"', '"MUTABLE"'),
    ("aws", "events", "main.tf", 'client_broker = "TLS"', 'client_broker = "TLS_PLAINTEXT"'),
    ("aws", "containers", "main.tf", "assign_public_ip = false", "assign_public_ip = true"),
    (
        "aws",
        "containers",
        "network.tf",
        "= var.cidr\n  ip_protocol",
        '= "0.0.0.0/0"\n  ip_protocol',
    ),
    ("aws", "spark", "iam.tf", "[var.roles.spark]", '["*"]'),
    ("aws", "schedule", "main.tf", "= each.value.time_zone\n", '= "UTC"\n'),
    ("aws", "schedule", "iam.tf", "[var.roles.launcher, var.roles.execution]", '["*"]'),
    (
        "aws",
        "identity",
        "main.tf",
        '"aws:SourceAccount" = var.account',
        '"aws:SourceAccount" = "*"',
    ),
    ("aws", "alerts", "main.tf", "$.differing >", "$.held >"),
]


def chosen() -> list[tuple[str, ...]]:
    """Return all mutations with `ISOPACH_EXAMPLES` set, else the last one of each module."""
    if "ISOPACH_EXAMPLES" in os.environ:
        return MUTATIONS
    return list({one[:2]: one for one in MUTATIONS}.values())
