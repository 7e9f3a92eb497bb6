# Where state lies is given to `terraform init -backend-config=bucket=…`: it exists before all else.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
  backend "s3" {
    key          = "isopach/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]
}

module "platform" {
  source                = "../../platform"
  account               = var.account
  region                = var.region
  name                  = var.name
  labels                = var.labels
  approvers             = var.approvers
  environment           = var.environment
  owner                 = var.owner
  cost_centre           = var.cost_centre
  feeds                 = var.feeds
  release               = var.release
  emails                = var.emails
  tolerated_differences = var.tolerated_differences
  budget                = var.budget
  cidr                  = var.cidr
  memory                = var.memory
  kafka_instance_type   = var.kafka_instance_type
  kafka_secret          = var.kafka_secret
  senders               = var.senders
}
