mock_provider "aws" {
  override_during = plan
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:isopach-alarms" }
  }
}

variables {
  account   = "111122223333"
  region    = "eu-central-1"
  name      = "isopach-test"
  labels    = { owner = "data", environment = "test", cost_centre = "cc-1" }
  emails    = ["data@example.com"]
  kms_key   = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  log_group = "/isopach-test/isopach"
  machines  = ["isopach-test-night"]
  streams   = ["sales"]
  budget    = 300
}

run "alarms" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.logged)) == toset(["gate_failed", "not_settled", "no_night", "dead_site", "differences"])
    error_message = "An alarm for each thing that somebody should look at."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.logged : alarm.alarm_actions == toset([output.topic]) && alarm.threshold == 0])
    error_message = "Each is told, the first time."
  }
  assert {
    condition     = aws_cloudwatch_log_metric_filter.logged["differences"].pattern == "{ $.differing > 0 }"
    error_message = "More differences than tolerated are told."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.silent["sales"].period == 1800 && aws_cloudwatch_metric_alarm.silent["sales"].treat_missing_data == "breaching"
    error_message = "A stream lands something every half an hour."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.slow["sales"].threshold == 120
    error_message = "A landing takes two minutes at most."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.failed["isopach-test-night"].dimensions.StateMachineArn == "arn:aws:states:eu-central-1:111122223333:stateMachine:isopach-test-night"
    error_message = "Each night that fails is told."
  }
  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.kms_key && jsondecode(aws_sns_topic_policy.alarms.policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == var.account
    error_message = "Alarms are encrypted, and sent by this account's services alone."
  }
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "300" && length(aws_budgets_budget.this.notification) == 4
    error_message = "Half, nine tenths and all of the budget are told, and what is foreseen."
  }
  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:environment$test"])
    error_message = "The budget is of this environment."
  }
}

run "somebody_is_told" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "a_key_has_its_whole_name" {
  command = plan
  variables {
    kms_key = "lake"
  }
  expect_failures = [var.kms_key]
}

run "a_stream_may_be_silent" {
  command = plan
  variables {
    watermark_minutes = 7
  }
  expect_failures = [var.watermark_minutes]
}

run "a_landing_has_its_time" {
  command = plan
  variables {
    lag_seconds = 0
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

run "a_budget_is_whole" {
  command = plan
  variables {
    budget = 0.5
  }
  expect_failures = [var.budget]
}
