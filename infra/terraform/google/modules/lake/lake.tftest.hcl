mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
}

variables {
  project = "acme-nights"
  region  = "europe-west3"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  feeds   = ["sales", "flights"]
  writers = { launcher = "serviceAccount:launcher@acme-nights.iam.gserviceaccount.com", worker = "serviceAccount:worker@acme-nights.iam.gserviceaccount.com" }
  readers = { worker = "serviceAccount:worker@acme-nights.iam.gserviceaccount.com" }
}

run "buckets" {
  command = plan

  assert {
    condition     = google_storage_bucket.this["lake"].name == "acme-nights-isopach-test-lake"
    error_message = "A bucket's name is unique in the world: the project is in it."
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && !bucket.force_destroy])
    error_message = "No bucket is public, has rules for single objects, or is deleted with what is in it."
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : length(bucket.encryption) == 1])
    error_message = "All is encrypted with our key."
  }
  assert {
    condition     = google_kms_crypto_key.this.rotation_period == "7776000s"
    error_message = "The key is rotated every 90 days."
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.this["lake"].lifecycle_rule : alltrue([for prefix in rule.condition[0].matches_prefix : can(regex("^lake/[a-z0-9_]+/_staging/2$", prefix))]) && length(rule.condition[0].matches_prefix) == 2])
    error_message = "Rules of the lake's bucket touch runs in staging alone: no Delta data, no landing, no mark."
  }
  assert {
    condition     = length(google_storage_bucket.this["lake"].lifecycle_rule) == 1 && google_storage_bucket.this["lake"].lifecycle_rule[0].condition[0].age == 60
    error_message = "What waits for an approval waits for 60 days."
  }
  assert {
    condition     = length(google_storage_bucket.this["landing"].lifecycle_rule) == 0
    error_message = "What sites delivered is deleted by nobody."
  }
  assert {
    condition     = google_storage_bucket.this["lake"].soft_delete_policy[0].retention_duration_seconds == 2592000 && google_storage_bucket.this["temp"].soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "What is deleted by hand can be had back for 30 days; what is temporary cannot."
  }
  assert {
    condition     = output.lake == "gs://acme-nights-isopach-test-lake/lake"
    error_message = "What --lake is given."
  }
}

run "bindings" {
  command = plan

  assert {
    condition     = toset(keys(google_storage_bucket_iam_member.lake)) == toset(["launcher", "worker"]) && alltrue([for binding in google_storage_bucket_iam_member.lake : binding.role == "roles/storage.objectUser"])
    error_message = "Writers use objects, and do not administer the bucket."
  }
  assert {
    condition     = alltrue([for binding in google_storage_bucket_iam_member.landing : binding.role == "roles/storage.objectViewer"])
    error_message = "Deliveries are read only."
  }
  assert {
    condition     = google_kms_crypto_key_iam_member.agents["storage"].member == "serviceAccount:service-123456789@gs-project-accounts.iam.gserviceaccount.com"
    error_message = "The key is used by the services' agents."
  }
}

run "staging_is_not_deleted_while_it_waits" {
  command = plan
  variables {
    staging_days = 3
  }
  expect_failures = [var.staging_days]
}

run "a_feed_is_a_name" {
  command = plan
  variables {
    feeds = ["../sales"]
  }
  expect_failures = [var.feeds]
}

run "a_folder_is_one_folder" {
  command = plan
  variables {
    folder = "/"
  }
  expect_failures = [var.folder]
}

run "a_key_is_rotated" {
  command = plan
  variables {
    rotation_days = 0
  }
  expect_failures = [var.rotation_days]
}

run "agents_are_known" {
  command = plan
  variables {
    agents = ["everybody"]
  }
  expect_failures = [var.agents]
}

run "anybody_cannot_deliver" {
  command = plan
  variables {
    senders = ["allUsers"]
  }
  expect_failures = [var.senders]
}
