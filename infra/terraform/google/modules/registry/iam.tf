resource "google_artifact_registry_repository_iam_member" "pullers" {
  for_each   = var.pullers
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.this.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}
