output "emails" {
  description = "Addresses of the accounts: launcher, worker, spark, workflow, scheduler."
  value       = { for name in keys(local.accounts) : name => "${var.name}-${name}@${var.project}.iam.gserviceaccount.com" }
  depends_on  = [google_service_account.this]
}

output "members" {
  description = "The same as members of bindings."
  value       = { for name in keys(local.accounts) : name => "serviceAccount:${var.name}-${name}@${var.project}.iam.gserviceaccount.com" }
  depends_on  = [google_service_account.this]
}
