output "workflow" {
  description = "Name of the nights' workflow."
  value       = google_workflows_workflow.night.name
}

output "schedules" {
  description = "When nights run: cron line and time zone, by night."
  value       = { for name, job in google_cloud_scheduler_job.night : name => "${job.schedule} ${job.time_zone}" }
}
