mock_provider "aws" {}

variables {
  account = "111122223333"
  region  = "eu-central-1"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  nights = {
    sales-america-chicago-0200 = { feed = "sales", time_zone = "America/Chicago", run_at = "03:00", back_seconds = 75600, sites = ["S003"] }
    sales-asia-tokyo-0130      = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "01:45", back_seconds = 17100, sites = ["S007"] }
  }
  lake           = "s3://acme-lake/lake"
  landing        = "s3://acme-landing/landing"
  kms_key        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  cluster        = "arn:aws:ecs:eu-central-1:111122223333:cluster/isopach-test"
  family         = "isopach-test"
  subnets        = ["subnet-1", "subnet-2"]
  security_group = "sg-1"
  topic          = "arn:aws:sns:eu-central-1:111122223333:isopach-test-alarms"
  roles          = { launcher = "arn:aws:iam::111122223333:role/isopach-test-launcher", execution = "arn:aws:iam::111122223333:role/isopach-test-execution", workflow = "arn:aws:iam::111122223333:role/isopach-test-workflow", scheduler = "arn:aws:iam::111122223333:role/isopach-test-scheduler" }
  role_names     = { workflow = "isopach-test-workflow", scheduler = "isopach-test-scheduler" }
}

run "nights" {
  command = plan

  assert {
    condition     = aws_scheduler_schedule.night["sales-america-chicago-0200"].schedule_expression == "cron(0 3 * * ? *)" && aws_scheduler_schedule.night["sales-america-chicago-0200"].schedule_expression_timezone == "America/Chicago"
    error_message = "A night runs at its own local hour."
  }
  assert {
    condition     = aws_scheduler_schedule.night["sales-asia-tokyo-0130"].schedule_expression == "cron(45 1 * * ? *)" && aws_scheduler_schedule.night["sales-asia-tokyo-0130"].schedule_expression_timezone == "Asia/Tokyo"
    error_message = "One for each time zone."
  }
  assert {
    condition     = jsondecode(aws_scheduler_schedule.night["sales-asia-tokyo-0130"].target[0].input).sites == ["S007"] && jsondecode(aws_scheduler_schedule.night["sales-asia-tokyo-0130"].target[0].input).scheduled == "<aws.scheduler.scheduled-time>"
    error_message = "A night is of its own sites, and of the date that it was due on."
  }
  assert {
    condition     = jsondecode(aws_sfn_state_machine.night.definition).States.Ask.TimeoutSeconds == 43200 && jsondecode(aws_sfn_state_machine.night.definition).States.Prepare.Assign.left == 3 && jsondecode(aws_sfn_state_machine.night.definition).States.Night.TimeoutSeconds == 11700
    error_message = "Three attempts, three hours each, and twelve to approve."
  }
  assert {
    condition     = toset(keys(aws_scheduler_schedule.maintain)) == toset(["sales"]) && jsondecode(aws_scheduler_schedule.maintain["sales"].target[0].input).maintain
    error_message = "Each feed is maintained, once a week."
  }
  assert {
    condition     = alltrue([for state in values(jsondecode(aws_sfn_state_machine.night.definition).States) : state.Arguments.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp == "DISABLED" if try(state.Resource, "") == "arn:aws:states:::ecs:runTask.sync"])
    error_message = "The command has no public address."
  }
  assert {
    condition     = aws_sfn_state_machine.night.encryption_configuration[0].type == "CUSTOMER_MANAGED_KMS_KEY" && aws_sfn_state_machine.night.role_arn == var.roles.workflow
    error_message = "The machine acts as itself, and is encrypted."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.workflow.policy).Statement[0].Resource == ["arn:aws:ecs:eu-central-1:111122223333:task-definition/isopach-test:*"] && jsondecode(aws_iam_role_policy.workflow.policy).Statement[3].Resource == [var.roles.launcher, var.roles.execution]
    error_message = "The machine starts this task, and no other."
  }
}

run "refused" {
  command = plan
  variables {
    # A time zone is no offset.
    nights = { n1 = { feed = "sales", time_zone = "+09:00", run_at = "01:45", back_seconds = 1, sites = ["S007"] } }
    # A lake is in a bucket.
    lake = "gs://acme-lake/lake"
    # Deliveries are in a bucket.
    landing = "landing"
    # A topic has its whole name.
    topic = "alarms"
    # A key has its whole name.
    kms_key = "lake"
    # Maintenance has a time.
    maintain_at = "weekly"
    # A night is tried.
    attempts = 0
    # A night ends.
    time_out_minutes = 100000
    # An approval has its time.
    approve_hours = 0
    # Memory is an amount.
    memory = { night = "much", fall_back = "more" }
  }
  expect_failures = [var.nights, var.lake, var.landing, var.topic, var.kms_key, var.maintain_at, var.attempts, var.time_out_minutes, var.approve_hours, var.memory]
}

run "refused_2" {
  command = plan
  variables {
    # A start is a time of day.
    nights = { n1 = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "25:00", back_seconds = 1, sites = ["S007"] } }
  }
  expect_failures = [var.nights]
}

run "refused_3" {
  command = plan
  variables {
    # A night has sites.
    nights = { n1 = { feed = "sales", time_zone = "Asia/Tokyo", run_at = "01:45", back_seconds = 1, sites = [] } }
  }
  expect_failures = [var.nights]
}
