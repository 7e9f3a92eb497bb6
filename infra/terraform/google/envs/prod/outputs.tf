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

output "workflow" {
  description = "What runs a night."
  value       = module.platform.workflow
}

output "schedules" {
  description = "When nights run."
  value       = module.platform.schedules
}

output "sources" {
  description = "Where events are read, by feed."
  value       = module.platform.sources
}
