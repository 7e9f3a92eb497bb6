output "cluster" {
  description = "ARN of the cluster."
  value       = "arn:aws:ecs:${var.region}:${var.account}:cluster/${aws_ecs_cluster.this.name}"
}

output "family" {
  description = "Name of the command's task."
  value       = aws_ecs_task_definition.isopach.family
}

output "log_group" {
  description = "Where the command's output goes."
  value       = aws_cloudwatch_log_group.isopach.name
}

output "vpc" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "subnets" {
  description = "Its subnets."
  value       = aws_subnet.this[*].id
}

output "security_group" {
  description = "Of the command."
  value       = aws_security_group.isopach.id
}
