mock_provider "aws" {
  override_during = plan
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }
  mock_resource "aws_msk_configuration" {
    defaults = { arn = "arn:aws:kafka:eu-central-1:111122223333:configuration/isopach/1" }
  }
  mock_resource "aws_msk_cluster" {
    defaults = { arn = "arn:aws:kafka:eu-central-1:111122223333:cluster/isopach/1", bootstrap_brokers_sasl_scram = "b1:9096,b2:9096" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/isopach:1" }
  }
}

# With this environment's own variables.
run "environment" {
  command = plan

  assert {
    condition     = length(output.schedules) == sum([for feed in values(var.feeds) : length(feed.nights)])
    error_message = "A schedule for each night that the feeds declare."
  }
  assert {
    condition     = output.lake == "s3://${var.name}-lake-${var.account}/lake" && endswith(var.name, var.environment)
    error_message = "Each environment has an account and a lake of its own."
  }
}
