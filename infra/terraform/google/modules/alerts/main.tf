locals {
  # Lines of the nights' workflow say `alarm`; those of `isopach status --json` have a list of them.
  said = "(jsonPayload.alarm=\"%[1]s\" OR jsonPayload.feeds.alarms.alarm=\"%[1]s\")"
  logged = {
    night_failed       = { severity = "CRITICAL", does = "Read the job's log; then start the workflow again with the same date." }
    night_slow         = { severity = "WARNING", does = "The night was run by the command itself. Look why Dataflow took so long." }
    night_held         = { severity = "WARNING", does = "Look at the report; approve by the address in the message, or have it delivered anew." }
    night_not_approved = { severity = "WARNING", does = "Publish it with isopach publish --approve, or leave it provisional." }
    maintain_failed    = { severity = "WARNING", does = "Read the batch's log. Tables stay what they are; the next one starts over." }
    gate_failed        = { severity = "ERROR", does = "What a stream landed does not meet its suite: isopach status." }
    not_settled        = { severity = "ERROR", does = "Windows are past their deadline: isopach status." }
    no_night           = { severity = "CRITICAL", does = "No night was run for a date: is the schedule paused?" }
    dead_site          = { severity = "WARNING", does = "A site sends neither files nor events: call it." }
  }
  filters = merge(
    { for alarm in keys(local.logged) : alarm => format(local.said, alarm) },
    { differences = "jsonPayload.differing>${var.tolerated_differences}" },
  )
  policies = merge(local.logged, {
    differences = { severity = "ERROR", does = "More windows differ from the stream than is tolerated: isopach reconcile." }
  })
  measured = {
    job_failed    = { metric = "job/is_failed", threshold = 0, severity = "CRITICAL", does = "A job on Dataflow failed: its error is in the console." }
    watermark_age = { metric = "job/data_watermark_age", threshold = var.watermark_minutes * 60, severity = "ERROR", does = "A stream does not get on: is a source silent, or are there too few workers?" }
    lag           = { metric = "job/system_lag", threshold = var.lag_seconds, severity = "WARNING", does = "Events wait: more workers, or a shorter commit interval." }
  }
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.emails
  project      = var.project
  display_name = "${var.name}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = var.labels
}

resource "google_monitoring_alert_policy" "logged" {
  for_each              = local.policies
  project               = var.project
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.key
    condition_matched_log {
      filter = local.filters[each.key]
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = each.value.does
  }
}

resource "google_monitoring_alert_policy" "measured" {
  for_each              = local.measured
  project               = var.project
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.key
    condition_threshold {
      filter          = "resource.type=\"dataflow_job\" AND metric.type=\"dataflow.googleapis.com/${each.value.metric}\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.key == "job_failed" ? "0s" : "300s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
        group_by_fields      = ["resource.label.job_name"]
      }
    }
  }

  documentation {
    content = each.value.does
  }
}

resource "google_billing_budget" "this" {
  billing_account = var.budget.account
  display_name    = var.name

  budget_filter {
    projects = ["projects/${var.project}"]
    labels   = { environment = var.labels.environment }
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = local.channels
  }
}
