output "lake" {
  description = "What --lake is given."
  value       = "s3://${aws_s3_bucket.this["lake"].bucket}/${var.folder}"
}

output "landing" {
  description = "What --landing is given."
  value       = "s3://${aws_s3_bucket.this["landing"].bucket}/landing"
}

output "buckets" {
  description = "Names of the buckets: lake, landing, temp."
  value       = { for key, bucket in aws_s3_bucket.this : key => bucket.bucket }
}

output "kms_key" {
  description = "ARN of the key that everything is encrypted with."
  value       = aws_kms_key.this.arn
}
