output "lake" {
  description = "What --lake is given."
  value       = module.lake.lake
}

output "landing" {
  description = "Where sites deliver."
  value       = module.lake.landing
}

output "registry" {
  description = "Where images are pushed."
  value       = module.registry.addresses
}

output "machine" {
  description = "What runs a night."
  value       = module.schedule.machine
}

output "schedules" {
  description = "When nights run."
  value       = module.schedule.schedules
}

output "approve" {
  description = "The policy of whoever approves."
  value       = module.identity.approve
}
