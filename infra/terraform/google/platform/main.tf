locals {
  labels = merge(var.labels, { environment = var.environment, owner = var.owner, cost_centre = var.cost_centre })
  feeds  = keys(var.feeds)
  nights = merge([
    for feed, declared in var.feeds : {
      for name, night in declared.nights : name => merge(night, { feed = feed })
    }
  ]...)
  streamed = { for cadence in ["continuous", "micro-batch"] : cadence => [for feed, declared in var.feeds : feed if declared.cadence == cadence] }
  readable = toset(flatten(values(local.streamed)))
}

module "identity" {
  source    = "../modules/identity"
  project   = var.project
  region    = var.region
  name      = var.name
  labels    = local.labels
  approvers = var.approvers
}

module "lake" {
  source  = "../modules/lake"
  project = var.project
  region  = var.region
  name    = var.name
  labels  = local.labels
  feeds   = local.feeds
  writers = { for account in ["launcher", "worker", "spark"] : account => module.identity.members[account] }
  readers = { for account in ["launcher", "worker"] : account => module.identity.members[account] }
  senders = var.senders
}

module "registry" {
  source  = "../modules/registry"
  project = var.project
  region  = var.region
  name    = var.name
  labels  = local.labels
  kms_key = module.lake.kms_key
  pullers = { for account in ["launcher", "worker", "spark"] : account => module.identity.members[account] }
}

module "events" {
  source     = "../modules/events"
  count      = length(local.readable) > 0 ? 1 : 0
  project    = var.project
  region     = var.region
  name       = var.name
  labels     = local.labels
  feeds      = local.readable
  subnetwork = module.dataflow.subnetwork
  kms_key    = module.lake.kms_key
  vcpus      = var.kafka_vcpus
  producers  = var.producers
  readers    = { for account in ["launcher", "worker"] : account => module.identity.emails[account] }
}

module "dataflow" {
  source       = "../modules/dataflow"
  project      = var.project
  region       = var.region
  name         = var.name
  labels       = local.labels
  image        = "${module.registry.address}/isopach:${var.release}"
  cidr         = var.cidr
  buckets      = { lake = module.lake.buckets["lake"], temp = module.lake.buckets["temp"] }
  lake         = module.lake.lake
  kms_key      = module.lake.kms_key
  accounts     = { launcher = module.identity.emails["launcher"], worker = module.identity.emails["worker"] }
  runners      = { workflow = module.identity.members["workflow"] }
  streams      = { for feed in local.streamed["continuous"] : feed => module.events[0].sources[feed] }
  machine_type = var.machine_type
  max_workers  = var.max_workers
}

module "spark" {
  source      = "../modules/spark"
  project     = var.project
  region      = var.region
  name        = var.name
  labels      = local.labels
  tables      = { for feed in local.feeds : replace(feed, "_", "-") => { path = "${module.lake.lake}/${feed}/records", z_order = ["site"] } }
  image       = "${module.registry.address}/isopach-spark:${var.release}"
  temp_bucket = module.lake.buckets["temp"]
  network     = module.dataflow.network
  subnetwork  = module.dataflow.subnetwork
  kms_key     = module.lake.kms_key
  accounts    = { for account in ["spark", "workflow", "scheduler"] : account => module.identity.emails[account] }
}

module "schedule" {
  source        = "../modules/schedule"
  project       = var.project
  region        = var.region
  name          = var.name
  labels        = local.labels
  nights        = local.nights
  micro_batches = { for feed in local.streamed["micro-batch"] : feed => module.events[0].sources[feed] }
  job           = module.dataflow.job
  settings      = module.dataflow.settings
  lake          = module.lake.lake
  landing       = module.lake.landing
  kms_key       = module.lake.kms_key
  accounts      = { for account in ["workflow", "scheduler"] : account => module.identity.emails[account] }
}

module "alerts" {
  source                = "../modules/alerts"
  project               = var.project
  region                = var.region
  name                  = var.name
  labels                = local.labels
  emails                = var.emails
  budget                = var.budget
  tolerated_differences = var.tolerated_differences
}
