# Where state lies is given to `terraform init -backend-config=bucket=…`: it exists before all else.
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 8.0"
    }
  }
  backend "gcs" {
    prefix = "isopach"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

module "platform" {
  source                = "../../platform"
  project               = var.project
  region                = var.region
  name                  = var.name
  approvers             = var.approvers
  labels                = var.labels
  environment           = var.environment
  owner                 = var.owner
  cost_centre           = var.cost_centre
  feeds                 = var.feeds
  release               = var.release
  emails                = var.emails
  tolerated_differences = var.tolerated_differences
  budget                = var.budget
  cidr                  = var.cidr
  machine_type          = var.machine_type
  max_workers           = var.max_workers
  kafka_vcpus           = var.kafka_vcpus
  senders               = var.senders
  producers             = var.producers
}
