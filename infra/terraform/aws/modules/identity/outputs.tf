output "roles" {
  description = "Names of the roles: launcher, execution, spark, workflow, scheduler."
  value       = { for key, role in aws_iam_role.this : key => role.name }
}

output "arns" {
  description = "Their ARNs."
  value       = { for key, role in aws_iam_role.this : key => "arn:aws:iam::${var.account}:role/${role.name}" }
}

output "approve" {
  description = "Name of the policy of whoever approves."
  value       = aws_iam_policy.approve.name
}
