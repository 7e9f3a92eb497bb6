output "batches" {
  description = "What is sent to Dataproc, by table."
  value       = local.batches
}
