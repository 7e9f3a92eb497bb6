mock_provider "google" {
}

variables {
  project = "acme-nights"
  region  = "europe-west3"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  emails  = ["data@example.com"]
  budget  = { account = "012345-6789AB-CDEF01", amount = 300, currency = "EUR" }
}

run "policies" {
  command = plan

  assert {
    condition = output.policies == tolist([
      "dead_site", "differences", "gate_failed", "job_failed", "lag", "maintain_failed", "night_failed", "night_held",
      "night_not_approved", "night_slow", "no_night", "not_settled", "watermark_age",
    ])
    error_message = "A policy for each thing that somebody should look at."
  }
  assert {
    condition     = google_monitoring_alert_policy.measured["watermark_age"].conditions[0].condition_threshold[0].threshold_value == 1800
    error_message = "A watermark is half an hour old at most."
  }
  assert {
    condition     = google_monitoring_alert_policy.measured["lag"].conditions[0].condition_threshold[0].threshold_value == 120
    error_message = "An event waits for two minutes at most."
  }
  assert {
    condition     = google_monitoring_alert_policy.measured["job_failed"].conditions[0].condition_threshold[0].threshold_value == 0
    error_message = "Each job that fails is told."
  }
  assert {
    condition     = google_monitoring_alert_policy.logged["differences"].conditions[0].condition_matched_log[0].filter == "jsonPayload.differing>0"
    error_message = "More differences than tolerated are told."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.logged["dead_site"].conditions[0].condition_matched_log[0].filter, "jsonPayload.feeds.alarms.alarm=\"dead_site\"")
    error_message = "Alarms of the status are told."
  }
  assert {
    condition     = google_billing_budget.this.amount[0].specified_amount[0].units == "300" && length(google_billing_budget.this.threshold_rules) == 4
    error_message = "Half, nine tenths and all of the budget are told, and what is foreseen."
  }
}

run "somebody_is_told" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "an_address_is_one" {
  command = plan
  variables {
    emails = ["data"]
  }
  expect_failures = [var.emails]
}

run "a_watermark_may_be_old" {
  command = plan
  variables {
    watermark_minutes = 0
  }
  expect_failures = [var.watermark_minutes]
}

run "a_lag_has_its_time" {
  command = plan
  variables {
    lag_seconds = 1
  }
  expect_failures = [var.lag_seconds]
}

run "differences_are_counted" {
  command = plan
  variables {
    tolerated_differences = -1
  }
  expect_failures = [var.tolerated_differences]
}

run "an_account_is_one" {
  command = plan
  variables {
    budget = { account = "mine", amount = 1, currency = "EUR" }
  }
  expect_failures = [var.budget]
}

run "a_currency_is_a_code" {
  command = plan
  variables {
    budget = { account = "012345-6789AB-CDEF01", amount = 1, currency = "euro" }
  }
  expect_failures = [var.budget]
}
