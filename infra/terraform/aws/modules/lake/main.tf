# Whoever destroys the key destroys the data: Terraform never does.
resource "aws_kms_key" "this" {
  description             = "${var.name}: lake, deliveries, events, logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy)
  tags                    = var.labels
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

locals {
  # Rows lie in the lake alone, and no rule ever deletes what is there now.
  buckets = {
    lake    = { keep_days = 30, delete_after = 0 }
    landing = { keep_days = 7, delete_after = 0 }
    temp    = { keep_days = 1, delete_after = 14 }
  }
  # Runs are named by their time. Beside them lie a stream's newest landing, without which it does not
  # start, and the mark that totals wait: these may be older than any run, and are kept.
  staging = { for feed in var.feeds : feed => "${var.folder}/${feed}/_staging/2" }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Who reads and writes is in CloudTrail; a bucket of logs would need one of its own
  #checkov:skip=CKV_AWS_144:The lake is rebuilt from deliveries and events; a copy elsewhere is the runbook's to make
  #checkov:skip=CKV2_AWS_62:Nobody waits for objects: nights look at the landing zone when their deadline has passed
  for_each      = local.buckets
  bucket        = "${var.name}-${each.key}-${var.account}"
  force_destroy = false
  tags          = var.labels
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.this[each.key].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].bucket
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].bucket
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

# What somebody deletes by hand can be had back for so long.
resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].bucket
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each   = local.buckets
  bucket     = aws_s3_bucket.this[each.key].bucket
  depends_on = [aws_s3_bucket_versioning.this]

  rule {
    id     = "tidy"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    noncurrent_version_expiration {
      noncurrent_days = local.buckets[each.key].keep_days
    }
  }

  dynamic "rule" {
    for_each = each.key == "lake" ? local.staging : {}
    content {
      id     = "staging-${rule.key}"
      status = "Enabled"
      filter {
        prefix = rule.value
      }
      expiration {
        days = var.staging_days
      }
    }
  }

  dynamic "rule" {
    for_each = local.buckets[each.key].delete_after > 0 ? [local.buckets[each.key].delete_after] : []
    content {
      id     = "temporary"
      status = "Enabled"
      filter {}
      expiration {
        days = rule.value
      }
    }
  }
}
