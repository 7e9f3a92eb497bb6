locals {
  run = "https://run.googleapis.com/v2/projects/${var.project}/locations/${var.region}/jobs/${var.job}"
}

resource "google_workflows_workflow" "night" {
  project             = var.project
  region              = var.region
  name                = "${var.name}-night"
  description         = "A night: run, try again, fall back, wait for an approval, tell"
  service_account     = var.accounts.workflow
  crypto_key_name     = var.kms_key
  call_log_level      = "LOG_ERRORS_ONLY"
  deletion_protection = false
  labels              = var.labels
  source_contents     = file("${path.module}/night.yaml")
  user_env_vars = {
    JOB              = local.run
    SETTINGS         = var.settings
    LAKE             = var.lake
    LANDING          = var.landing
    MEMORY           = var.memory
    ATTEMPTS         = tostring(var.attempts)
    TIME_OUT_SECONDS = tostring(var.time_out_minutes * 60)
    APPROVE_SECONDS  = tostring(var.approve_hours * 3600)
  }
}

# One for each feed, time zone and deadline: at a local hour that every day of the year has once.
resource "google_cloud_scheduler_job" "night" {
  for_each         = var.nights
  project          = var.project
  region           = var.region
  name             = "${var.name}-${each.key}"
  description      = "${each.value.feed}: ${length(each.value.sites)} sites in ${each.value.time_zone}"
  schedule         = "${tonumber(split(":", each.value.run_at)[1])} ${tonumber(split(":", each.value.run_at)[0])} * * *"
  time_zone        = each.value.time_zone
  attempt_deadline = "180s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://workflowexecutions.googleapis.com/v1/projects/${var.project}/locations/${var.region}/workflows/${google_workflows_workflow.night.name}/executions"
    body = base64encode(jsonencode({
      argument = jsonencode({
        night        = each.key
        feed         = each.value.feed
        back_seconds = each.value.back_seconds
        sites        = each.value.sites
      })
      labels = merge(var.labels, { feed = each.value.feed })
    }))
    headers = { "content-type" = "application/json" }
    oauth_token {
      service_account_email = var.accounts.scheduler
    }
  }
}

# Once a week for each feed, by the same workflow.
resource "google_cloud_scheduler_job" "maintain" {
  for_each         = toset([for night in values(var.nights) : night.feed])
  project          = var.project
  region           = var.region
  name             = "${var.name}-maintain-${replace(each.key, "_", "-")}"
  description      = "Deletes what no version of ${each.key} needs, and tidies its logs"
  schedule         = var.maintain_at
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    http_method = "POST"
    uri         = "https://workflowexecutions.googleapis.com/v1/projects/${var.project}/locations/${var.region}/workflows/${google_workflows_workflow.night.name}/executions"
    body = base64encode(jsonencode({
      argument = jsonencode({ night = "maintain", feed = each.key, maintain = true, back_seconds = 0, sites = [] })
      labels   = merge(var.labels, { feed = each.key })
    }))
    headers = { "content-type" = "application/json" }
    oauth_token {
      service_account_email = var.accounts.scheduler
    }
  }
}

# Two that overlap land each row once all the same: the lake's fences say what is there.
resource "google_cloud_scheduler_job" "micro_batch" {
  for_each         = var.micro_batches
  project          = var.project
  region           = var.region
  name             = "${var.name}-stream-${replace(each.key, "_", "-")}"
  description      = "Lands the events of ${each.key}"
  schedule         = "*/${var.every_minutes} * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  http_target {
    http_method = "POST"
    uri         = "${local.run}:run"
    body = base64encode(jsonencode({
      overrides = {
        containerOverrides = [{
          args = [
            "--signal=INT", tostring(var.every_minutes * 60 + 1800), "isopach",
            "stream", each.key, "--source", each.value, "--source-settings", var.source_settings,
            "--lake", var.lake, "--until-idle", "--log", "json",
          ]
        }]
      }
    }))
    headers = { "content-type" = "application/json" }
    oauth_token {
      service_account_email = var.accounts.scheduler
    }
  }
}
