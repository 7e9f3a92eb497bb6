mock_provider "google" {
}

variables {
  project     = "acme-nights"
  region      = "europe-west3"
  name        = "isopach-test"
  labels      = { owner = "data", environment = "test", cost_centre = "cc-1" }
  tables      = { sales = { path = "gs://acme-lake/lake/sales/records", z_order = ["site"] } }
  image       = "europe-west3-docker.pkg.dev/acme-nights/isopach/isopach-spark:0.1.0"
  temp_bucket = "acme-temp"
  network     = "isopach"
  subnetwork  = "projects/acme-nights/regions/europe-west3/subnetworks/workers"
  kms_key     = "projects/acme-nights/locations/europe-west3/keyRings/isopach/cryptoKeys/lake"
  accounts    = { spark = "spark@acme-nights.iam.gserviceaccount.com", workflow = "workflow@acme-nights.iam.gserviceaccount.com", scheduler = "scheduler@acme-nights.iam.gserviceaccount.com" }
}

run "batches" {
  command = plan

  assert {
    condition     = join(" ", output.batches["sales"].pysparkBatch.args) == "--table gs://acme-lake/lake/sales/records --z-order site"
    error_message = "A batch for each table, with the arguments of jobs/spark/maintain.py."
  }
  assert {
    condition     = output.batches["sales"].environmentConfig.executionConfig.kmsKey == var.kms_key && output.batches["sales"].environmentConfig.executionConfig.subnetworkUri == var.subnetwork
    error_message = "Executors are private, and encrypted."
  }
  assert {
    condition     = output.batches["sales"].environmentConfig.executionConfig.serviceAccount == var.accounts.spark
    error_message = "Batches act as their own account."
  }
  assert {
    condition     = output.batches["sales"].environmentConfig.executionConfig.ttl == "21600s"
    error_message = "A batch that hangs is ended."
  }
  assert {
    condition     = google_compute_firewall.executors.source_tags == google_compute_firewall.executors.target_tags
    error_message = "Executors talk to each other alone."
  }
  assert {
    condition     = length(jsondecode(jsondecode(base64decode(google_cloud_scheduler_job.maintain.http_target[0].body)).argument).batches) == 1
    error_message = "What is maintained is handed over: variables of a workflow hold 4 KiB."
  }
  assert {
    condition     = google_cloud_scheduler_job.maintain.schedule == "30 12 * * 0" && google_workflows_workflow.maintain.service_account == var.accounts.workflow
    error_message = "Maintenance is weekly."
  }
}

run "a_schedule_has_five_fields" {
  command = plan
  variables {
    schedule = "weekly"
  }
  expect_failures = [var.schedule]
}

run "a_table_is_in_a_bucket" {
  command = plan
  variables {
    tables = { sales = { path = "/lake/sales/records", z_order = [] } }
  }
  expect_failures = [var.tables]
}

run "a_batch_ends" {
  command = plan
  variables {
    ttl_hours = 0
  }
  expect_failures = [var.ttl_hours]
}
