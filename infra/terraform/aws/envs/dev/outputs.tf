output "lake" {
  description = "What --lake is given."
  value       = module.platform.lake
}

output "landing" {
  description = "Where sites deliver."
  value       = module.platform.landing
}

output "registry" {
  description = "Where images are pushed."
  value       = module.platform.registry
}

output "machine" {
  description = "What runs a night."
  value       = module.platform.machine
}

output "schedules" {
  description = "When nights run."
  value       = module.platform.schedules
}

output "approve" {
  description = "The policy of whoever approves."
  value       = module.platform.approve
}
