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

variable "tables" {
  description = "Tables to maintain, by name: address, and columns to sort by."
  type        = map(object({ path = string, z_order = list(string) }))
  validation {
    condition     = alltrue([for table in values(var.tables) : can(regex("^gs://[^/\\s]+/\\S+$", table.path))])
    error_message = "tables: path is gs://BUCKET/FOLDER."
  }
}

variable "image" {
  description = "Image with Isopach, Delta's jars and Spark's Python, with its tag or digest."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image: an image with its tag or digest, as in REGISTRY/isopach-spark:1."
  }
}

variable "temp_bucket" {
  description = "Bucket for what batches stage."
  type        = string
}

variable "network" {
  description = "Network that executors talk in."
  type        = string
}

variable "subnetwork" {
  description = "Subnetwork of executors."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+$", var.subnetwork))
    error_message = "subnetwork: projects/PROJECT/regions/REGION/subnetworks/NAME."
  }
}

variable "kms_key" {
  description = "Key that executors' disks are encrypted with."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[\\w-]+/cryptoKeys/[\\w-]+$", var.kms_key))
    error_message = "kms_key: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "accounts" {
  description = "Addresses of the accounts: spark, workflow and scheduler."
  type        = object({ spark = string, workflow = string, scheduler = string })
}

variable "schedule" {
  description = "When tables are maintained: a cron line, in UTC."
  type        = string
  default     = "30 12 * * 0"
  validation {
    condition     = can(regex("^([\\d*,/-]+ ){4}[\\d*,/-]+$", var.schedule))
    error_message = "schedule: five fields of cron, as in 30 12 * * 0."
  }
}

variable "ttl_hours" {
  description = "After how many hours a batch is ended."
  type        = number
  default     = 6
  validation {
    condition     = var.ttl_hours >= 1 && var.ttl_hours <= 48
    error_message = "ttl_hours: 1 to 48."
  }
}
