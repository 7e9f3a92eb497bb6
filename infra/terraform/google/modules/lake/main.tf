resource "google_kms_key_ring" "this" {
  project  = var.project
  name     = var.name
  location = var.region
}

# Whoever destroys the key destroys the data: Terraform never does.
resource "google_kms_crypto_key" "this" {
  #checkov:skip=CKV_GCP_43:Every 90 days unless told otherwise, and a year at most: it is computed, which is not looked at
  name                       = "${var.name}-lake"
  key_ring                   = google_kms_key_ring.this.id
  rotation_period            = "${var.rotation_days * 86400}s"
  destroy_scheduled_duration = "2592000s"
  labels                     = var.labels
  lifecycle {
    prevent_destroy = true
  }
}

locals {
  # What is kept for how long. Rows lie in the lake alone, and no rule ever deletes them.
  buckets = {
    lake    = { soft_delete = 2592000, delete_after = 0 }
    landing = { soft_delete = 604800, delete_after = 0 }
    temp    = { soft_delete = 0, delete_after = 14 }
  }
  # Runs are named by their time. Beside them lie a stream's newest landing, without which it does not
  # start, and the mark that totals wait: these may be older than any run, and are kept.
  staging = [for feed in sort(tolist(var.feeds)) : "${var.folder}/${feed}/_staging/2"]
}

resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:Who reads and writes is in Cloud Audit Logs; a bucket of logs would need one of its own
  #checkov:skip=CKV_GCP_78:Delta keeps versions, and what is deleted by hand is kept by soft delete; both would be paid for twice
  for_each                    = local.buckets
  project                     = var.project
  name                        = "${var.project}-${var.name}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  encryption {
    default_kms_key_name = google_kms_crypto_key.this.id
  }

  # Versions are Delta's; what somebody deletes by hand can be had back for so long.
  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete
  }

  dynamic "lifecycle_rule" {
    for_each = each.key == "lake" ? [local.staging] : []
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = var.staging_days
        matches_prefix = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after > 0 ? [each.value.delete_after] : []
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}
