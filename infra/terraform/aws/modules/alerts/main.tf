locals {
  namespace = var.name
  topic     = "arn:aws:sns:${var.region}:${var.account}:${aws_sns_topic.alarms.name}"
  # What `isopach status --json` and nights print. Alarms of the steps go to the topic by themselves.
  logged = {
    gate_failed = { pattern = "\"gate_failed\"", does = "What a stream landed does not meet its suite: isopach status." }
    not_settled = { pattern = "\"not_settled\"", does = "Windows are past their deadline: isopach status." }
    no_night    = { pattern = "\"no_night\"", does = "No night was run for a date: is the schedule disabled?" }
    dead_site   = { pattern = "\"dead_site\"", does = "A site sends neither files nor events: call it." }
    differences = { pattern = "{ $.differing > ${var.tolerated_differences} }", does = "More windows differ from the stream than is tolerated: isopach reconcile." }
  }
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key
  tags              = var.labels
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_log_metric_filter" "logged" {
  for_each       = local.logged
  name           = each.key
  log_group_name = var.log_group
  pattern        = each.value.pattern
  metric_transformation {
    namespace = local.namespace
    name      = each.key
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "logged" {
  for_each            = local.logged
  alarm_name          = "${var.name}: ${each.key}"
  alarm_description   = each.value.does
  namespace           = local.namespace
  metric_name         = each.key
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]
  tags                = var.labels
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each            = var.machines
  alarm_name          = "${var.name}: ${each.value} failed"
  alarm_description   = "Read the task's log; then start it again with the same date."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  dimensions          = { StateMachineArn = "arn:aws:states:${var.region}:${var.account}:stateMachine:${each.value}" }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]
  tags                = var.labels
}

# Each landing is a line of the stream's log, with the seconds that it took.
resource "aws_cloudwatch_log_metric_filter" "landing" {
  for_each       = { landings = "1", landing_seconds = "$.seconds" }
  name           = each.key
  log_group_name = var.log_group
  pattern        = "{ $.message = \"landed*\" }"
  metric_transformation {
    namespace  = local.namespace
    name       = each.key
    value      = each.value
    dimensions = { feed = "$.feed" }
  }
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  for_each            = var.streams
  alarm_name          = "${var.name}: ${each.value} lands nothing"
  alarm_description   = "A stream does not get on: does its task run, and do sites send?"
  namespace           = local.namespace
  metric_name         = "landings"
  dimensions          = { feed = each.value }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = var.watermark_minutes * 60
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic]
  tags                = var.labels
}

resource "aws_cloudwatch_metric_alarm" "slow" {
  for_each            = var.streams
  alarm_name          = "${var.name}: ${each.value} lands slowly"
  alarm_description   = "Events wait: a larger task, or a longer commit interval."
  namespace           = local.namespace
  metric_name         = "landing_seconds"
  dimensions          = { feed = each.value }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.lag_seconds
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]
  tags                = var.labels
}

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.budget)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:environment", var.labels.environment])]
  }

  dynamic "notification" {
    for_each = [["ACTUAL", 50], ["ACTUAL", 90], ["ACTUAL", 100], ["FORECASTED", 100]]
    content {
      notification_type          = notification.value[0]
      threshold                  = notification.value[1]
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = var.emails
    }
  }
}
