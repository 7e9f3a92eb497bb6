output "addresses" {
  description = "What tags of images begin with: isopach, and isopach-spark."
  value       = { for key, repository in aws_ecr_repository.this : key => "${var.account}.dkr.ecr.${var.region}.amazonaws.com/${repository.name}" }
}
