mock_provider "google" {
}

variables {
  project = "acme-nights"
  region  = "europe-west3"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  kms_key = "projects/acme-nights/locations/europe-west3/keyRings/isopach/cryptoKeys/lake"
  pullers = { worker = "serviceAccount:worker@acme-nights.iam.gserviceaccount.com" }
}

run "repository" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.this.docker_config[0].immutable_tags
    error_message = "A tag never moves to another image."
  }
  assert {
    condition     = google_artifact_registry_repository.this.kms_key_name == var.kms_key
    error_message = "Images are encrypted with our key."
  }
  assert {
    condition     = alltrue([for binding in google_artifact_registry_repository_iam_member.pullers : binding.role == "roles/artifactregistry.reader" && binding.repository == "isopach-test"])
    error_message = "Who pulls may read this repository."
  }
  assert {
    condition     = output.address == "europe-west3-docker.pkg.dev/acme-nights/isopach-test"
    error_message = "What tags begin with."
  }
}

run "one_image_is_not_enough" {
  command = plan
  variables {
    keep = 1
  }
  expect_failures = [var.keep]
}

run "a_key_has_its_whole_name" {
  command = plan
  variables {
    kms_key = "lake"
  }
  expect_failures = [var.kms_key]
}
