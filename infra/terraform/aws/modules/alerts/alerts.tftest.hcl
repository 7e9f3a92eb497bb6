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

run "refused" {
  command = plan
  variables {
    # Somebody is told.
    emails = []
    # A key has its whole name.
    kms_key = "lake"
    # A stream may be silent.
    watermark_minutes = 7
    # A landing has its time.
    lag_seconds = 0
    # Differences are counted.
    tolerated_differences = -1
    # A budget is whole.
    budget = 0.5
  }
  expect_failures = [var.emails, var.kms_key, var.watermark_minutes, var.lag_seconds, var.tolerated_differences, var.budget]
}
