output "jobs" {
  description = "What is run, for each table."
  value       = local.jobs
}
