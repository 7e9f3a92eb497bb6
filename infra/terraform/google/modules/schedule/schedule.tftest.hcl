mock_provider "google" {
}

variables {
  project = "acme-nights"
  region  = "europe-west3"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  nights = {
    sales-america-chicago-0200 = { feed = "sales", time_zone = "America/Chicago", run_at = "03:00", back_seconds = 75600, sites = ["S003"] }
    sales-asia-tokyo-0130      = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "01:45", back_seconds = 17100, sites = ["S007"] }
  }
  job      = "isopach-test"
  settings = "/settings/dataflow.yaml"
  lake     = "gs://acme-lake/lake"
  landing  = "gs://acme-landing/landing"
  kms_key  = "projects/acme-nights/locations/europe-west3/keyRings/isopach/cryptoKeys/lake"
  accounts = { workflow = "workflow@acme-nights.iam.gserviceaccount.com", scheduler = "scheduler@acme-nights.iam.gserviceaccount.com" }
}

run "nights" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.night["sales-america-chicago-0200"].schedule == "0 3 * * *" && google_cloud_scheduler_job.night["sales-america-chicago-0200"].time_zone == "America/Chicago"
    error_message = "A night runs at its own local hour."
  }
  assert {
    condition     = google_cloud_scheduler_job.night["sales-asia-tokyo-0130"].schedule == "45 1 * * *" && google_cloud_scheduler_job.night["sales-asia-tokyo-0130"].time_zone == "Asia/Tokyo"
    error_message = "One for each time zone."
  }
  assert {
    condition     = jsondecode(jsondecode(base64decode(google_cloud_scheduler_job.night["sales-asia-tokyo-0130"].http_target[0].body)).argument).sites == ["S007"]
    error_message = "A night is of its own sites."
  }
  assert {
    condition     = google_cloud_scheduler_job.night["sales-asia-tokyo-0130"].http_target[0].oauth_token[0].service_account_email == var.accounts.scheduler
    error_message = "Schedules act as the scheduler."
  }
  assert {
    condition     = google_workflows_workflow.night.user_env_vars["APPROVE_SECONDS"] == "43200" && google_workflows_workflow.night.user_env_vars["ATTEMPTS"] == "3" && google_workflows_workflow.night.user_env_vars["TIME_OUT_SECONDS"] == "10800"
    error_message = "Three attempts, three hours each, and twelve to approve."
  }
  assert {
    condition     = google_workflows_workflow.night.service_account == var.accounts.workflow && google_workflows_workflow.night.crypto_key_name == var.kms_key
    error_message = "The workflow acts as itself, and is encrypted."
  }
  assert {
    condition     = toset(keys(google_cloud_scheduler_job.maintain)) == toset(["sales"]) && jsondecode(jsondecode(base64decode(google_cloud_scheduler_job.maintain["sales"].http_target[0].body)).argument).maintain
    error_message = "Each feed is maintained, once a week."
  }
  assert {
    condition     = length(google_cloud_run_v2_job_iam_member.scheduler) == 0
    error_message = "The scheduler starts the command itself only for micro-batches."
  }
}

run "micro_batches" {
  command = plan
  variables {
    micro_batches = { flights = "kafka:b1:9092/flights" }
  }

  assert {
    condition     = google_cloud_scheduler_job.micro_batch["flights"].schedule == "*/5 * * * *"
    error_message = "Every five minutes."
  }
  assert {
    condition     = contains(jsondecode(base64decode(google_cloud_scheduler_job.micro_batch["flights"].http_target[0].body)).overrides.containerOverrides[0].args, "--until-idle")
    error_message = "A micro-batch ends when all there is has landed."
  }
  assert {
    condition     = google_cloud_run_v2_job_iam_member.scheduler[0].role == "roles/run.jobsExecutorWithOverrides"
    error_message = "The scheduler starts the command itself."
  }
}

run "a_time_zone_is_no_offset" {
  command = plan
  variables {
    nights = { n1 = { feed = "sales", time_zone = "+09:00", run_at = "01:45", back_seconds = 1, sites = ["S007"] } }
  }
  expect_failures = [var.nights]
}

run "a_start_is_a_time_of_day" {
  command = plan
  variables {
    nights = { n1 = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "25:00", back_seconds = 1, sites = ["S007"] } }
  }
  expect_failures = [var.nights]
}

run "a_night_has_sites" {
  command = plan
  variables {
    nights = { n1 = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "01:45", back_seconds = 1, sites = [] } }
  }
  expect_failures = [var.nights]
}

run "a_name_fits_into_a_jobs" {
  command = plan
  variables {
    nights = { "Sales_Tokyo" = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "01:45", back_seconds = 1, sites = ["S007"] } }
  }
  expect_failures = [var.nights]
}

run "a_night_is_tried" {
  command = plan
  variables {
    attempts = 0
  }
  expect_failures = [var.attempts]
}

run "a_night_ends" {
  command = plan
  variables {
    time_out_minutes = 100000
  }
  expect_failures = [var.time_out_minutes]
}

run "an_approval_has_its_time" {
  command = plan
  variables {
    approve_hours = 0
  }
  expect_failures = [var.approve_hours]
}

run "memory_is_an_amount" {
  command = plan
  variables {
    memory = "much"
  }
  expect_failures = [var.memory]
}

run "minutes_divide_an_hour" {
  command = plan
  variables {
    every_minutes = 7
  }
  expect_failures = [var.every_minutes]
}

run "maintenance_has_a_time" {
  command = plan
  variables {
    maintain_at = "weekly"
  }
  expect_failures = [var.maintain_at]
}
