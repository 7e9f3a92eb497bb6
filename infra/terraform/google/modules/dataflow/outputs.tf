output "job" {
  description = "Name of the command's job."
  value       = google_cloud_run_v2_job.isopach.name
}

output "settings" {
  description = "Where the command finds its settings."
  value       = "${local.settings}/dataflow.yaml"
}

output "network" {
  description = "The network, for rules of others."
  value       = google_compute_network.this.name
}

output "subnetwork" {
  description = "The workers' subnetwork."
  value       = "projects/${var.project}/regions/${var.region}/subnetworks/${google_compute_subnetwork.this.name}"
}
