output "brokers" {
  description = "Where clients begin."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram
}
