output "machine" {
  description = "Name of what runs a night."
  value       = aws_sfn_state_machine.night.name
}

output "schedules" {
  description = "When nights run: cron line and time zone, by night."
  value       = { for name, one in aws_scheduler_schedule.night : name => "${one.schedule_expression} ${one.schedule_expression_timezone}" }
}
