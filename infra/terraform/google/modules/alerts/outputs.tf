output "policies" {
  description = "Names of the policies."
  value       = sort(concat(keys(local.policies), keys(local.measured)))
}
