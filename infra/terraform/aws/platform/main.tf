locals {
  labels = merge(var.labels, { environment = var.environment, owner = var.owner, cost_centre = var.cost_centre })
  feeds  = keys(var.feeds)
  nights = merge([
    for feed, declared in var.feeds : {
      for name, night in declared.nights : name => merge(night, { feed = feed })
    }
  ]...)
  streamed = { for feed, declared in var.feeds : feed => declared.cadence if declared.cadence != "nightly" }
}

module "identity" {
  source    = "../modules/identity"
  account   = var.account
  region    = var.region
  name      = var.name
  labels    = local.labels
  approvers = var.approvers
}

module "lake" {
  source  = "../modules/lake"
  account = var.account
  region  = var.region
  name    = var.name
  labels  = local.labels
  feeds   = local.feeds
  writers = { for role in ["launcher", "spark"] : role => module.identity.roles[role] }
  readers = { launcher = module.identity.roles["launcher"] }
  senders = var.senders
}

module "registry" {
  source  = "../modules/registry"
  account = var.account
  region  = var.region
  name    = var.name
  labels  = local.labels
  kms_key = module.lake.kms_key
  pullers = { execution = module.identity.roles["execution"] }
}

module "events" {
  source        = "../modules/events"
  count         = length(local.streamed) > 0 ? 1 : 0
  account       = var.account
  region        = var.region
  name          = var.name
  labels        = local.labels
  kms_key       = module.lake.kms_key
  vpc           = module.containers.vpc
  subnets       = module.containers.subnets
  clients       = { command = module.containers.security_group }
  instance_type = var.kafka_instance_type
  secrets       = var.kafka_secret == null ? [] : [var.kafka_secret]
}

module "containers" {
  source         = "../modules/containers"
  account        = var.account
  region         = var.region
  name           = var.name
  labels         = local.labels
  kms_key        = module.lake.kms_key
  image          = "${module.registry.addresses["isopach"]}:${var.release}"
  lake           = module.lake.lake
  cidr           = var.cidr
  memory         = var.memory
  roles          = { for role in ["launcher", "execution"] : role => module.identity.arns[role] }
  execution_role = module.identity.roles["execution"]
  streams = {
    for feed, cadence in local.streamed : feed => {
      cadence = cadence, brokers = module.events[0].brokers, secret = var.kafka_secret
    }
  }
}

module "spark" {
  source         = "../modules/spark"
  account        = var.account
  region         = var.region
  name           = var.name
  labels         = local.labels
  tables         = { for feed in local.feeds : replace(feed, "_", "-") => { path = "${module.lake.lake}/${feed}/records", z_order = ["site"] } }
  image          = "${module.registry.addresses["isopach-spark"]}:${var.release}"
  subnets        = module.containers.subnets
  security_group = module.containers.security_group
  kms_key        = module.lake.kms_key
  roles          = { for role in ["spark", "workflow", "scheduler"] : role => module.identity.arns[role] }
  role_names     = { for role in ["workflow", "scheduler"] : role => module.identity.roles[role] }
}

module "schedule" {
  source         = "../modules/schedule"
  account        = var.account
  region         = var.region
  name           = var.name
  labels         = local.labels
  nights         = local.nights
  lake           = module.lake.lake
  landing        = module.lake.landing
  kms_key        = module.lake.kms_key
  cluster        = module.containers.cluster
  family         = module.containers.family
  subnets        = module.containers.subnets
  security_group = module.containers.security_group
  topic          = module.alerts.topic
  roles          = { for role in ["launcher", "execution", "workflow", "scheduler"] : role => module.identity.arns[role] }
  role_names     = { for role in ["workflow", "scheduler"] : role => module.identity.roles[role] }
}

module "alerts" {
  source                = "../modules/alerts"
  account               = var.account
  region                = var.region
  name                  = var.name
  labels                = local.labels
  kms_key               = module.lake.kms_key
  emails                = var.emails
  log_group             = module.containers.log_group
  machines              = ["${var.name}-night", "${var.name}-maintain"]
  streams               = keys(local.streamed)
  budget                = var.budget
  tolerated_differences = var.tolerated_differences
}
