mock_provider "google" {
}

variables {
  project   = "acme-nights"
  region    = "europe-west3"
  name      = "isopach-test"
  labels    = { owner = "data", environment = "test", cost_centre = "cc-1" }
  approvers = ["group:data@example.com"]
}

run "identities" {
  command = plan

  assert {
    condition     = toset(keys(google_service_account.this)) == toset(["launcher", "worker", "spark", "workflow", "scheduler"])
    error_message = "One account for each thing that acts."
  }
  assert {
    condition     = google_service_account.this["worker"].account_id == "isopach-test-worker"
    error_message = "Accounts are named after what they do."
  }
  assert {
    condition = toset([for binding in google_project_iam_member.this : binding.role]) == toset([
      "roles/dataflow.developer", "roles/dataflow.worker", "roles/dataproc.worker", "roles/logging.logWriter",
      "roles/workflows.invoker", "projects/acme-nights/roles/isopach_test_batches",
    ])
    error_message = "Roles on the project are those of services that know nothing smaller."
  }
  assert {
    condition     = alltrue([for binding in google_project_iam_member.this : !can(regex("owner|editor|admin|viewer", lower(binding.role)))])
    error_message = "No basic role, and no administrator."
  }
  assert {
    condition     = toset(google_project_iam_custom_role.batches.permissions) == toset(["dataproc.batches.create", "dataproc.batches.get", "dataproc.batches.cancel"])
    error_message = "The workflow starts batches and follows them, and does nothing else to them."
  }
  assert {
    condition     = google_project_iam_custom_role.approve.permissions == tolist(["workflows.callbacks.send"]) && google_project_iam_member.approvers["group:data@example.com"].role == "projects/acme-nights/roles/isopach_test_approve"
    error_message = "Whoever approves answers, and starts nothing."
  }
  assert {
    condition     = google_service_account_iam_member.acting["launcher-worker"].member == "serviceAccount:isopach-test-launcher@acme-nights.iam.gserviceaccount.com"
    error_message = "The launcher starts jobs as the worker."
  }
  assert {
    condition     = google_service_account_iam_member.acting["launcher-worker"].service_account_id == "projects/acme-nights/serviceAccounts/isopach-test-worker@acme-nights.iam.gserviceaccount.com"
    error_message = "Acting as another is bound on that account, not on the project."
  }
}

run "anybody_cannot_approve" {
  command = plan
  variables {
    approvers = ["allUsers"]
  }
  expect_failures = [var.approvers]
}

run "a_project_is_no_number" {
  command = plan
  variables {
    project = "123456789"
  }
  expect_failures = [var.project]
}

run "a_region_is_no_zone" {
  command = plan
  variables {
    region = "europe-west3-a"
  }
  expect_failures = [var.region]
}

run "labels_must_say_who_pays" {
  command = plan
  variables {
    labels = { owner = "data", environment = "test" }
  }
  expect_failures = [var.labels]
}

run "a_name_must_fit" {
  command = plan
  variables {
    name = "isopach-of-a-very-large-organisation"
  }
  expect_failures = [var.name]
}
