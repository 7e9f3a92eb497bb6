mock_provider "aws" {
  override_during = plan
  mock_resource "aws_msk_configuration" {
    defaults = { arn = "arn:aws:kafka:eu-central-1:111122223333:configuration/isopach/1" }
  }
  mock_resource "aws_msk_cluster" {
    defaults = { arn = "arn:aws:kafka:eu-central-1:111122223333:cluster/isopach/1", bootstrap_brokers_sasl_scram = "b1:9096,b2:9096" }
  }
}

variables {
  account = "111122223333"
  region  = "eu-central-1"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  kms_key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  vpc     = "vpc-1"
  subnets = ["subnet-1", "subnet-2", "subnet-3"]
  clients = { command = "sg-1" }
  secrets = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:AmazonMSK_isopach-Ab12Cd"]
}

run "cluster" {
  command = plan

  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_at_rest_kms_key_arn == var.kms_key && aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS"
    error_message = "Events are encrypted with our key, and on their way."
  }
  assert {
    condition     = aws_msk_cluster.this.broker_node_group_info[0].connectivity_info[0].public_access[0].type == "DISABLED" && !aws_msk_cluster.this.client_authentication[0].unauthenticated
    error_message = "Brokers have no public address, and know who comes."
  }
  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "log.retention.hours=168\n") && strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas=2\n")
    error_message = "Events are kept for a week, three times."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.clients["command"].from_port == 9096 && aws_vpc_security_group_ingress_rule.clients["command"].referenced_security_group_id == "sg-1"
    error_message = "Brokers are reached from the clients' groups alone."
  }
}

run "refused" {
  command = plan
  variables {
    # Events are kept longer than a weekend.
    retention_days = 1
    # Brokers are in zones.
    subnets = ["subnet-1"]
    # A topic has partitions.
    partitions = 0
    # A machine is a type.
    instance_type = "m7g.large"
    # A disk has room.
    disk_gib = 0
    # A secret is named as the service asks.
    secrets = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:kafka-Ab12Cd"]
  }
  expect_failures = [var.retention_days, var.subnets, var.partitions, var.instance_type, var.disk_gib, var.secrets]
}
