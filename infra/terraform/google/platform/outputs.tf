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
  value       = module.registry.address
}

output "workflow" {
  description = "What runs a night."
  value       = module.schedule.workflow
}

output "schedules" {
  description = "When nights run."
  value       = module.schedule.schedules
}

output "sources" {
  description = "Where events are read, by feed."
  value       = merge(module.events[*].sources...)
}
