mock_provider "aws" {
  override_during = plan
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/isopach:1" }
  }
}

variables {
  account        = "111122223333"
  region         = "eu-central-1"
  name           = "isopach-test"
  labels         = { owner = "data", environment = "test", cost_centre = "cc-1" }
  kms_key        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  image          = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/isopach-test/isopach:0.1.0"
  lake           = "s3://acme-lake/lake"
  roles          = { launcher = "arn:aws:iam::111122223333:role/isopach-test-launcher", execution = "arn:aws:iam::111122223333:role/isopach-test-execution" }
  execution_role = "isopach-test-execution"
  streams        = { sales = { cadence = "continuous", brokers = "b1:9096", secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:AmazonMSK_isopach-Ab12Cd" } }
}

run "network" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch]) && length(aws_subnet.this) == 3
    error_message = "A private subnet in each zone."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == var.cidr && aws_vpc_security_group_egress_rule.network.cidr_ipv4 == var.cidr
    error_message = "Nobody outside of the network is reached, or reaches in."
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.service)) == toset(["ecr.api", "ecr.dkr", "logs", "sts", "secretsmanager", "kms"])
    error_message = "Services are reached by endpoints."
  }
}

run "command" {
  command = plan

  assert {
    condition     = jsondecode(aws_ecs_task_definition.isopach.container_definitions)[0].entryPoint == ["timeout"]
    error_message = "The command is interrupted in time."
  }
  assert {
    condition     = aws_ecs_task_definition.isopach.task_role_arn == var.roles.launcher && aws_ecs_task_definition.isopach.execution_role_arn == var.roles.execution
    error_message = "The command acts as the launcher."
  }
  assert {
    condition     = aws_cloudwatch_log_group.isopach.kms_key_id == var.kms_key
    error_message = "Logs are encrypted with our key."
  }
}

run "stream" {
  command = plan

  assert {
    condition     = aws_ecs_service.stream["sales"].desired_count == 1 && aws_ecs_service.stream["sales"].deployment_maximum_percent == 100 && !aws_ecs_service.stream["sales"].network_configuration[0].assign_public_ip
    error_message = "One stream of a feed at a time, without a public address."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.stream["sales"].container_definitions)[0].secrets[0].valueFrom == "${var.streams.sales.secret}:settings::" && !strcontains(jsonencode(jsondecode(aws_ecs_task_definition.stream["sales"].container_definitions)[0].command), "secret")
    error_message = "Secrets are in no argument."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[1].Resource == [var.streams.sales.secret]
    error_message = "The secrets of streams are read, and no others."
  }
}

run "refused" {
  command = plan
  variables {
    # An image has a tag.
    image = "isopach"
    # A lake is in a bucket.
    lake = "/lake"
    # A range is private.
    cidr = "8.8.8.0/20"
    # Zones are letters.
    zones = ["eu-central-1a", "b"]
    # Memory is what can be had.
    memory = 7
    # A cadence is known.
    streams = { sales = { cadence = "hourly", brokers = "b1:9096", secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:AmazonMSK_isopach-Ab12Cd" } }
    # Every is a duration.
    every = "soon"
  }
  expect_failures = [var.image, var.lake, var.cidr, var.zones, var.memory, var.streams, var.every]
}
