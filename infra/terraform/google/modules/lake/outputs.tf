output "lake" {
  description = "What --lake is given."
  value       = "gs://${google_storage_bucket.this["lake"].name}/${var.folder}"
}

output "landing" {
  description = "What --landing is given."
  value       = "gs://${google_storage_bucket.this["landing"].name}/landing"
}

output "buckets" {
  description = "Names of the buckets: lake, landing, temp."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.name }
}

output "kms_key" {
  description = "The key that everything is encrypted with."
  value       = "projects/${var.project}/locations/${var.region}/keyRings/${google_kms_key_ring.this.name}/cryptoKeys/${google_kms_crypto_key.this.name}"
  depends_on  = [google_kms_crypto_key_iam_member.agents]
}
