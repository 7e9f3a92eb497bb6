locals {
  # A batch for each table, as the API takes it. It joins files and sorts; what may be deleted is
  # known to `isopach maintain` alone.
  batches = {
    for name, table in var.tables : name => {
      labels = merge(var.labels, { table = name })
      pysparkBatch = {
        mainPythonFileUri = "local:///isopach/jobs/spark/maintain.py"
        args              = concat(["--table", table.path], length(table.z_order) > 0 ? ["--z-order", join(",", table.z_order)] : [])
      }
      runtimeConfig = { version = "1.2", containerImage = var.image }
      environmentConfig = {
        executionConfig = {
          serviceAccount = var.accounts.spark
          subnetworkUri  = var.subnetwork
          networkTags    = ["${var.name}-spark"]
          kmsKey         = var.kms_key
          stagingBucket  = var.temp_bucket
          ttl            = "${var.ttl_hours * 3600}s"
        }
      }
    }
  }
}

# Executors of a batch talk to each other on any port, and to nobody else.
resource "google_compute_firewall" "executors" {
  project     = var.project
  name        = "${var.name}-spark"
  network     = var.network
  direction   = "INGRESS"
  source_tags = ["${var.name}-spark"]
  target_tags = ["${var.name}-spark"]

  allow {
    protocol = "tcp"
  }
}

resource "google_workflows_workflow" "maintain" {
  project             = var.project
  region              = var.region
  name                = "${var.name}-maintain"
  description         = "Joins and sorts the files of tables, one batch after the other"
  service_account     = var.accounts.workflow
  crypto_key_name     = var.kms_key
  call_log_level      = "LOG_ERRORS_ONLY"
  deletion_protection = false
  labels              = var.labels
  source_contents     = file("${path.module}/maintain.yaml")
  user_env_vars = {
    PARENT = "projects/${var.project}/locations/${var.region}"
  }
}

resource "google_cloud_scheduler_job" "maintain" {
  project          = var.project
  region           = var.region
  name             = "${var.name}-maintain"
  description      = "Maintains ${join(", ", keys(var.tables))}"
  schedule         = var.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    http_method = "POST"
    uri         = "https://workflowexecutions.googleapis.com/v1/projects/${var.project}/locations/${var.region}/workflows/${google_workflows_workflow.maintain.name}/executions"
    body        = base64encode(jsonencode({ argument = jsonencode({ batches = values(local.batches) }) }))
    oauth_token {
      service_account_email = var.accounts.scheduler
    }
  }
}
