mock_provider "google" {
}

mock_provider "google-beta" {}

variables {
  project  = "acme-nights"
  region   = "europe-west3"
  name     = "isopach-test"
  labels   = { owner = "data", environment = "test", cost_centre = "cc-1" }
  image    = "europe-west3-docker.pkg.dev/acme-nights/isopach/isopach:0.1.0"
  buckets  = { lake = "acme-lake", temp = "acme-temp" }
  lake     = "gs://acme-lake/lake"
  kms_key  = "projects/acme-nights/locations/europe-west3/keyRings/isopach/cryptoKeys/lake"
  accounts = { launcher = "launcher@acme-nights.iam.gserviceaccount.com", worker = "worker@acme-nights.iam.gserviceaccount.com" }
  runners  = { workflow = "serviceAccount:workflow@acme-nights.iam.gserviceaccount.com" }
  streams  = { sales = "kafka:b1:9092/sales" }
}

run "network" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.this.private_ip_google_access && !google_compute_network.this.auto_create_subnetworks
    error_message = "One subnetwork, which reaches Google without public addresses."
  }
  assert {
    condition     = toset(google_compute_firewall.workers.source_tags) == toset(["dataflow"])
    error_message = "Only workers talk to workers."
  }
  assert {
    condition     = toset(flatten(google_compute_firewall.workers.allow[*].ports)) == toset(["12345-12346"])
    error_message = "Only over the ports of the shuffle."
  }
}

run "command" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.isopach.template[0].template[0].max_retries == 0
    error_message = "Whether to try again is the workflow's to say: a declaration stays bad."
  }
  assert {
    condition     = google_cloud_run_v2_job.isopach.template[0].template[0].containers[0].command[0] == "timeout"
    error_message = "The command is interrupted in time, so that it cancels its job."
  }
  assert {
    condition     = google_cloud_run_v2_job.isopach.template[0].template[0].vpc_access[0].egress == "ALL_TRAFFIC"
    error_message = "The command stays within the network."
  }
  assert {
    condition     = google_cloud_run_v2_job.isopach.template[0].template[0].encryption_key == var.kms_key
    error_message = "The command is encrypted with our key."
  }
  assert {
    condition     = yamldecode(google_storage_bucket_object.settings.content).use_public_ips == false && yamldecode(google_storage_bucket_object.settings.content).kms_key == var.kms_key
    error_message = "Workers of nights have no public address, and state is encrypted."
  }
  assert {
    condition     = jsondecode(google_storage_bucket_object.spec.content).image == var.image
    error_message = "The template starts the same image."
  }
  assert {
    condition     = google_cloud_run_v2_job_iam_member.runners["workflow"].role == "roles/run.jobsExecutorWithOverrides" && google_cloud_run_v2_job_iam_member.runners["workflow"].name == "isopach-test"
    error_message = "The workflow starts this job, and no other."
  }
}

run "stream" {
  command = plan

  assert {
    condition     = google_dataflow_flex_template_job.stream["sales"].ip_configuration == "WORKER_IP_PRIVATE" && google_dataflow_flex_template_job.stream["sales"].kms_key_name == var.kms_key
    error_message = "Workers of streams have no public address, and state is encrypted."
  }
  assert {
    condition     = google_dataflow_flex_template_job.stream["sales"].on_delete == "drain"
    error_message = "A stream that is taken away lands what it has read."
  }
  assert {
    condition     = google_dataflow_flex_template_job.stream["sales"].parameters["lake"] == "gs://acme-lake/lake" && google_dataflow_flex_template_job.stream["sales"].labels.feed == "sales"
    error_message = "The template's parameters are the command's."
  }
}

run "an_image_has_a_tag" {
  command = plan
  variables {
    image = "europe-west3-docker.pkg.dev/acme-nights/isopach/isopach"
  }
  expect_failures = [var.image]
}

run "a_range_is_private" {
  command = plan
  variables {
    cidr = "8.8.8.0/22"
  }
  expect_failures = [var.cidr]
}

run "a_range_has_room_for_workers" {
  command = plan
  variables {
    cidr = "10.0.0.0/28"
  }
  expect_failures = [var.cidr]
}

run "a_source_is_kafka" {
  command = plan
  variables {
    streams = { sales = "spool:/tmp/spool" }
  }
  expect_failures = [var.streams]
}

run "every_is_a_duration" {
  command = plan
  variables {
    every = "soon"
  }
  expect_failures = [var.every]
}

run "memory_is_what_can_be_had" {
  command = plan
  variables {
    memory = 7
  }
  expect_failures = [var.memory]
}

run "a_path_is_absolute" {
  command = plan
  variables {
    source_settings = "kafka.properties"
  }
  expect_failures = [var.source_settings]
}

run "a_machine_is_a_type" {
  command = plan
  variables {
    machine_type = "large"
  }
  expect_failures = [var.machine_type]
}

run "workers_are_bounded" {
  command = plan
  variables {
    max_workers = 0
  }
  expect_failures = [var.max_workers]
}
