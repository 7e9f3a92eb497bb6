mock_provider "aws" {
  override_during = plan
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }
}

variables {
  account = "111122223333"
  region  = "eu-central-1"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  feeds   = ["sales", "flights"]
  writers = { launcher = "isopach-test-launcher" }
  readers = { launcher = "isopach-test-launcher" }
  senders = ["arn:aws:iam::777788889999:role/tills"]
}

run "buckets" {
  command = plan

  assert {
    condition     = aws_s3_bucket.this["lake"].bucket == "isopach-test-lake-111122223333" && !aws_s3_bucket.this["lake"].force_destroy
    error_message = "A bucket's name is unique in the world: the account is in it; and it is not deleted with what is in it."
  }
  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets]) && length(aws_s3_bucket_public_access_block.this) == 3
    error_message = "No bucket is public."
  }
  assert {
    condition     = alltrue([for rules in aws_s3_bucket_server_side_encryption_configuration.this : alltrue([for rule in rules.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"])])
    error_message = "All is encrypted with our key."
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is rotated."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule : can(regex("^lake/[a-z0-9_]+/_staging/2$", rule.filter[0].prefix)) if length(rule.expiration) > 0]) && length([for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule : rule if length(rule.expiration) > 0]) == 2
    error_message = "What rules of the lake's bucket delete are runs in staging alone: no Delta data, no landing, no mark."
  }
  assert {
    condition     = length([for rule in aws_s3_bucket_lifecycle_configuration.this["landing"].rule : rule if length(rule.expiration) > 0]) == 0
    error_message = "What sites delivered is deleted by nobody."
  }
  assert {
    condition     = alltrue([for versions in aws_s3_bucket_versioning.this : versions.versioning_configuration[0].status == "Enabled"])
    error_message = "What is deleted by hand can be had back."
  }
  assert {
    condition     = output.lake == "s3://isopach-test-lake-111122223333/lake"
    error_message = "What --lake is given."
  }
}

run "bindings" {
  command = plan

  assert {
    condition     = alltrue([for policy in aws_s3_bucket_policy.this : jsondecode(policy.policy).Statement[0].Effect == "Deny" && jsondecode(policy.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"])
    error_message = "Nobody comes without TLS."
  }
  assert {
    condition     = toset(jsondecode(aws_s3_bucket_policy.this["landing"].policy).Statement[1].Action) == toset(["s3:PutObject", "s3:AbortMultipartUpload"])
    error_message = "Sites deliver, and read nothing."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.writers["launcher"].policy).Statement[0].Resource[0] == "arn:aws:s3:::isopach-test-lake-111122223333/*"
    error_message = "Writers write the lake and temporary files."
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.readers["launcher"].policy).Statement[0].Action) == toset(["s3:GetObject"])
    error_message = "Deliveries are read only."
  }
}

run "refused" {
  command = plan
  variables {
    # Staging is not deleted while it waits.
    staging_days = 3
    # A feed is a name.
    feeds = ["../sales"]
    # A folder is one folder.
    folder = "/"
    # Anybody cannot deliver.
    senders = ["*"]
  }
  expect_failures = [var.staging_days, var.feeds, var.folder, var.senders]
}
