variable "project" {
  description = "Id of the project."
  type        = string
  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: a project's id, 6 to 30 of a-z, 0-9 and -, and not its number or title."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region: a region, as in europe-west3."
  }
}

variable "name" {
  description = "What names of resources begin with, as in isopach-prod."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.name))
    error_message = "name: 3 to 18 of a-z, 0-9 and -, a letter first."
  }
}

variable "labels" {
  description = "Labels of everything: owner, environment and cost_centre must be there."
  type        = map(string)
  validation {
    condition     = length(setsubtract(["owner", "environment", "cost_centre"], keys(var.labels))) == 0
    error_message = "labels: owner, environment and cost_centre must be given."
  }
  validation {
    condition = alltrue([
      for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels: names and values are at most 63 of a-z, 0-9, _ and -, and names have a letter first."
  }
}

variable "feeds" {
  description = "Feeds that have a topic, each of its name."
  type        = set(string)
  validation {
    condition     = alltrue([for feed in var.feeds : can(regex("^[a-z][a-z0-9_]{0,62}$", feed))])
    error_message = "feeds: a name is at most 63 of a-z, 0-9 and _, a letter first."
  }
}

variable "subnetwork" {
  description = "Subnetwork that brokers are reached from."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+$", var.subnetwork))
    error_message = "subnetwork: projects/PROJECT/regions/REGION/subnetworks/NAME."
  }
}

variable "kms_key" {
  description = "Key that events are encrypted with."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[\\w-]+/cryptoKeys/[\\w-]+$", var.kms_key))
    error_message = "kms_key: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "vcpus" {
  description = "Cores of the cluster."
  type        = number
  default     = 3
  validation {
    condition     = var.vcpus >= 3 && floor(var.vcpus) == var.vcpus
    error_message = "vcpus: at least 3, whole."
  }
}

variable "partitions" {
  description = "Partitions of each topic."
  type        = number
  default     = 6
  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1000
    error_message = "partitions: 1 to 1000."
  }
}

variable "retention_days" {
  description = "How long events are kept: longer than a stream may be down."
  type        = number
  default     = 7
  validation {
    condition     = var.retention_days >= 3 && var.retention_days <= 365
    error_message = "retention_days: 3 to 365: what is deleted before it has landed is lost."
  }
}

variable "readers" {
  description = "Addresses of the accounts that read events, by account's name."
  type        = map(string)
  validation {
    condition     = alltrue([for address in values(var.readers) : can(regex("^[a-z0-9-]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", address))])
    error_message = "readers: service accounts' addresses, as in NAME@PROJECT.iam.gserviceaccount.com."
  }
}

variable "producers" {
  description = "Addresses of the accounts that send events."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.producers : can(regex("^[a-z0-9-]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", address))])
    error_message = "producers: service accounts' addresses, as in NAME@PROJECT.iam.gserviceaccount.com."
  }
}
