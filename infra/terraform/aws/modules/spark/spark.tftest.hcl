mock_provider "aws" {
  override_during = plan
  mock_resource "aws_emrserverless_application" {
    defaults = { id = "00isopach" }
  }
}

variables {
  account        = "111122223333"
  region         = "eu-central-1"
  name           = "isopach-test"
  labels         = { owner = "data", environment = "test", cost_centre = "cc-1" }
  tables         = { sales = { path = "s3://acme-lake/lake/sales/records", z_order = ["site"] } }
  image          = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/isopach-test/isopach-spark:0.1.0"
  subnets        = ["subnet-1"]
  security_group = "sg-1"
  kms_key        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  roles          = { spark = "arn:aws:iam::111122223333:role/isopach-test-spark", workflow = "arn:aws:iam::111122223333:role/isopach-test-workflow", scheduler = "arn:aws:iam::111122223333:role/isopach-test-scheduler" }
  role_names     = { workflow = "isopach-test-workflow", scheduler = "isopach-test-scheduler" }
}

run "jobs" {
  command = plan

  assert {
    condition     = join(" ", output.jobs[0].args) == "--table s3a://acme-lake/lake/sales/records --z-order site"
    error_message = "A job for each table, with the arguments of jobs/spark/maintain.py."
  }
  assert {
    condition     = aws_emrserverless_application.this.auto_stop_configuration[0].enabled && aws_emrserverless_application.this.maximum_capacity[0].cpu == "16 vCPU"
    error_message = "An application that does nothing costs nothing, and never more than its cores."
  }
  assert {
    condition     = jsondecode(aws_sfn_state_machine.maintain.definition).States.Tables.ItemProcessor.States.Maintain.Arguments.ExecutionRoleArn == var.roles.spark
    error_message = "Jobs act as their own role."
  }
  assert {
    condition     = aws_emrserverless_application.this.network_configuration[0].subnet_ids == toset(var.subnets)
    error_message = "Executors are private."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.workflow.policy).Statement[2].Resource == ["${var.roles.spark}"] && jsondecode(aws_iam_role_policy.workflow.policy).Statement[2].Condition.StringEquals["iam:PassedToService"] == "emr-serverless.amazonaws.com"
    error_message = "The workflow hands on this role, to this service."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.scheduler.policy).Statement[0].Resource == ["arn:aws:states:eu-central-1:111122223333:stateMachine:isopach-test-maintain"]
    error_message = "The scheduler starts maintenance."
  }
}

run "refused" {
  command = plan
  variables {
    # A schedule has six fields.
    schedule = "weekly"
    # A table is in a bucket.
    tables = { sales = { path = "/lake/sales/records", z_order = [] } }
    # Cores are bounded.
    max_vcpus = 1000
    # Executors have a subnet.
    subnets = []
    # A key has its whole name.
    kms_key = "lake"
  }
  expect_failures = [var.schedule, var.tables, var.max_vcpus, var.subnets, var.kms_key]
}
