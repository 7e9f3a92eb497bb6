data "google_project" "this" {
  project_id = var.project
}

locals {
  number = data.google_project.this.number
  agents = {
    storage   = "service-${local.number}@gs-project-accounts.iam.gserviceaccount.com"
    kafka     = "service-${local.number}@gcp-sa-managedkafka.iam.gserviceaccount.com"
    artifacts = "service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    dataflow  = "service-${local.number}@dataflow-service-producer-prod.iam.gserviceaccount.com"
    compute   = "service-${local.number}@compute-system.iam.gserviceaccount.com"
    run       = "service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"
    workflows = "service-${local.number}@gcp-sa-workflows.iam.gserviceaccount.com"
    dataproc  = "service-${local.number}@dataproc-accounts.iam.gserviceaccount.com"
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each      = var.agents
  crypto_key_id = google_kms_crypto_key.this.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${local.agents[each.key]}"
}

resource "google_storage_bucket_iam_member" "lake" {
  for_each = var.writers
  bucket   = google_storage_bucket.this["lake"].name
  role     = "roles/storage.objectUser"
  member   = each.value
}

resource "google_storage_bucket_iam_member" "temp" {
  for_each = var.writers
  bucket   = google_storage_bucket.this["temp"].name
  role     = "roles/storage.objectUser"
  member   = each.value
}

# Beam asks for the bucket itself before it stages.
resource "google_storage_bucket_iam_member" "temp_bucket" {
  for_each = var.writers
  bucket   = google_storage_bucket.this["temp"].name
  role     = "roles/storage.legacyBucketReader"
  member   = each.value
}

resource "google_storage_bucket_iam_member" "landing" {
  for_each = var.readers
  bucket   = google_storage_bucket.this["landing"].name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

# Sites deliver: they create objects, and neither read nor change what others sent.
resource "google_storage_bucket_iam_member" "senders" {
  for_each = var.senders
  bucket   = google_storage_bucket.this["landing"].name
  role     = "roles/storage.objectCreator"
  member   = each.value
}
