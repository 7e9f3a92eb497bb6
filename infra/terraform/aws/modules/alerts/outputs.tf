output "topic" {
  description = "ARN of the topic that alarms go to."
  value       = local.topic
}
