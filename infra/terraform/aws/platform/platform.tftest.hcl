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

variables {
  account      = "111122223333"
  region       = "eu-central-1"
  name         = "isopach-test"
  environment  = "dev"
  owner        = "data"
  cost_centre  = "cc-1"
  release      = "0.1.0"
  emails       = ["data@example.com"]
  budget       = 300
  kafka_secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:AmazonMSK_isopach-Ab12Cd"
  feeds = {
    sales = {
      cadence = "continuous"
      nights = {
        sales-asia-tokyo-0130 = { time_zone = "Asia/Tokyo", deadline = "01:30", run_at = "01:45", back_seconds = 17100, sites = ["S007"] }
      }
    }
    flights = {
      cadence = "nightly"
      nights = {
        flights-america-chicago-0600 = { time_zone = "America/Chicago", deadline = "06:00", run_at = "06:15", back_seconds = 87300, sites = ["ORD"] }
      }
    }
  }
}

run "platform" {
  command = plan

  assert {
    condition     = output.schedules["sales-asia-tokyo-0130"] == "cron(45 1 * * ? *) Asia/Tokyo" && length(output.schedules) == 2
    error_message = "A schedule for each night of all feeds."
  }
  assert {
    condition     = length(module.events) == 1
    error_message = "A cluster for the feeds that are streamed."
  }
}

run "only_nights" {
  command = plan
  variables {
    feeds        = { sales = { cadence = "nightly", nights = {} } }
    kafka_secret = null
  }

  assert {
    condition     = length(module.events) == 0
    error_message = "Without streams there is no Kafka to pay for."
  }
}

run "streams_have_a_secret" {
  command = plan
  variables {
    kafka_secret = null
  }
  expect_failures = [var.kafka_secret]
}

run "a_cadence_is_known" {
  command = plan
  variables {
    feeds = { sales = { cadence = "hourly", nights = {} } }
  }
  expect_failures = [var.feeds]
}

run "a_release_is_not_latest" {
  command = plan
  variables {
    release = "latest"
  }
  expect_failures = [var.release]
}

run "an_environment_is_known" {
  command = plan
  variables {
    environment = "test"
  }
  expect_failures = [var.environment]
}

run "an_owner_is_a_label" {
  command = plan
  variables {
    owner = "Data Platform"
  }
  expect_failures = [var.owner]
}

run "somebody_pays" {
  command = plan
  variables {
    cost_centre = ""
  }
  expect_failures = [var.cost_centre]
}
