mock_provider "google" {
}

variables {
  project    = "acme-nights"
  region     = "europe-west3"
  name       = "isopach-test"
  labels     = { owner = "data", environment = "test", cost_centre = "cc-1" }
  feeds      = ["sales"]
  subnetwork = "projects/acme-nights/regions/europe-west3/subnetworks/workers"
  kms_key    = "projects/acme-nights/locations/europe-west3/keyRings/isopach/cryptoKeys/lake"
  readers    = { worker = "worker@acme-nights.iam.gserviceaccount.com" }
}

run "cluster" {
  command = plan

  assert {
    condition     = google_managed_kafka_cluster.this.gcp_config[0].kms_key == var.kms_key
    error_message = "Events are encrypted with our key."
  }
  assert {
    condition     = length(google_managed_kafka_cluster.this.gcp_config[0].access_config[0].network_configs) == 1 && length(google_managed_kafka_cluster.this.gcp_config[0].access_config[0].public_cluster_config) == 0
    error_message = "Brokers are reached from the workers' subnetwork alone."
  }
  assert {
    condition     = google_managed_kafka_topic.feed["sales"].configs["retention.ms"] == "604800000" && google_managed_kafka_topic.feed["sales"].replication_factor == 3
    error_message = "Events are kept for a week, three times."
  }
  assert {
    condition     = output.sources["sales"] == "kafka:bootstrap.isopach-test.europe-west3.managedkafka.acme-nights.cloud.goog:9092/sales"
    error_message = "What --source is given."
  }
  assert {
    condition     = toset([for entry in google_managed_kafka_acl.feed["sales"].acl_entries : entry.operation]) == toset(["READ", "DESCRIBE"])
    error_message = "Whoever lands events reads them, and writes none."
  }
  assert {
    condition     = google_project_iam_member.clients["worker"].role == "roles/managedkafka.client"
    error_message = "To connect, and no more."
  }
}

run "events_are_kept_longer_than_a_weekend" {
  command = plan
  variables {
    retention_days = 1
  }
  expect_failures = [var.retention_days]
}

run "a_cluster_has_three_cores" {
  command = plan
  variables {
    vcpus = 2
  }
  expect_failures = [var.vcpus]
}

run "a_topic_has_partitions" {
  command = plan
  variables {
    partitions = 0
  }
  expect_failures = [var.partitions]
}

run "a_subnetwork_has_its_whole_name" {
  command = plan
  variables {
    subnetwork = "workers"
  }
  expect_failures = [var.subnetwork]
}

run "readers_are_accounts" {
  command = plan
  variables {
    readers = { worker = "somebody@example.com" }
  }
  expect_failures = [var.readers]
}

run "a_topic_is_a_feeds" {
  command = plan
  variables {
    feeds = ["Sales"]
  }
  expect_failures = [var.feeds]
}

run "producers_are_accounts" {
  command = plan
  variables {
    producers = ["tills@example.com"]
  }
  expect_failures = [var.producers]
}
