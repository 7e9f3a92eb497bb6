resource "aws_sfn_state_machine" "night" {
  name     = "${var.name}-night"
  role_arn = var.roles.workflow
  tags     = var.labels
  definition = templatefile("${path.module}/night.asl.json", {
    cluster         = var.cluster
    family          = var.family
    subnets         = jsonencode(var.subnets)
    security_group  = var.security_group
    topic           = var.topic
    lake            = var.lake
    landing         = var.landing
    memory          = var.memory.night
    more_memory     = var.memory.fall_back
    attempts        = var.attempts
    seconds         = var.time_out_minutes * 60
    approve_seconds = var.approve_hours * 3600
  })

  encryption_configuration {
    type                              = "CUSTOMER_MANAGED_KMS_KEY"
    kms_key_id                        = var.kms_key
    kms_data_key_reuse_period_seconds = 900
  }

  tracing_configuration {
    enabled = true
  }

  logging_configuration {
    log_destination        = "arn:aws:logs:${var.region}:${var.account}:log-group:${aws_cloudwatch_log_group.night.name}:*"
    level                  = "ERROR"
    include_execution_data = true
  }
}

resource "aws_cloudwatch_log_group" "night" {
  name              = "/${var.name}/night"
  retention_in_days = 365
  kms_key_id        = var.kms_key
  tags              = var.labels
}

resource "aws_scheduler_schedule_group" "nights" {
  name = "${var.name}-nights"
  tags = var.labels
}

# One for each feed, time zone and deadline: at a local hour that every day of the year has once.
resource "aws_scheduler_schedule" "night" {
  for_each                     = var.nights
  name                         = each.key
  group_name                   = aws_scheduler_schedule_group.nights.name
  description                  = "${each.value.feed}: ${length(each.value.sites)} sites in ${each.value.time_zone}"
  schedule_expression          = "cron(${tonumber(split(":", each.value.run_at)[1])} ${tonumber(split(":", each.value.run_at)[0])} * * ? *)"
  schedule_expression_timezone = each.value.time_zone
  kms_key_arn                  = var.kms_key

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = local.machine
    role_arn = var.roles.scheduler
    input = jsonencode({
      night        = each.key
      feed         = each.value.feed
      back_seconds = each.value.back_seconds
      sites        = each.value.sites
      scheduled    = "<aws.scheduler.scheduled-time>"
    })
    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 3600
    }
  }
}

# Once a week for each feed, by the same machine.
resource "aws_scheduler_schedule" "maintain" {
  for_each                     = toset([for night in values(var.nights) : night.feed])
  name                         = "maintain-${replace(each.key, "_", "-")}"
  group_name                   = aws_scheduler_schedule_group.nights.name
  description                  = "Deletes what no version of ${each.key} needs, and tidies its logs"
  schedule_expression          = var.maintain_at
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.kms_key

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = local.machine
    role_arn = var.roles.scheduler
    input = jsonencode({
      night        = "maintain"
      feed         = each.key
      maintain     = true
      back_seconds = 0
      sites        = []
      scheduled    = "<aws.scheduler.scheduled-time>"
    })
  }
}
