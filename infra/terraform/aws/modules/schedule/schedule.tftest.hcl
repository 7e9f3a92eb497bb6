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
    condition     = alltrue([for state in values(jsondecode(aws_sfn_state_machine.night.definition).States) : state.Arguments.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp == "DISABLED" if try(state.Resource, "") == "arn:aws:states:::ecs:runTask.sync"])
    error_message = "The command has no public address."
  }
  assert {
    condition     = aws_sfn_state_machine.night.encryption_configuration[0].type == "CUSTOMER_MANAGED_KMS_KEY" && aws_sfn_state_machine.night.role_arn == var.roles.workflow
    error_message = "The machine acts as itself, and is encrypted."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.workflow.policy).Statement[0].Resource == ["arn:aws:ecs:eu-central-1:111122223333:task-definition/isopach-test:*"] && jsondecode(aws_iam_role_policy.workflow.policy).Statement[2].Resource == [var.roles.launcher, var.roles.execution]
    error_message = "The machine starts this task, and no other."
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

run "a_lake_is_in_a_bucket" {
  command = plan
  variables {
    lake = "gs://acme-lake/lake"
  }
  expect_failures = [var.lake]
}

run "deliveries_are_in_a_bucket" {
  command = plan
  variables {
    landing = "landing"
  }
  expect_failures = [var.landing]
}

run "a_topic_has_its_whole_name" {
  command = plan
  variables {
    topic = "alarms"
  }
  expect_failures = [var.topic]
}

run "a_key_has_its_whole_name" {
  command = plan
  variables {
    kms_key = "lake"
  }
  expect_failures = [var.kms_key]
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
    memory = { night = "much", fall_back = "more" }
  }
  expect_failures = [var.memory]
}
