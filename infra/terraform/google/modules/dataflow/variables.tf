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

variable "image" {
  description = "Image of Isopach with its tag or digest, for the command, the template and its workers."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image: an image with its tag or digest, as in REGISTRY/isopach:1."
  }
}

variable "cidr" {
  description = "Range of the workers' subnetwork."
  type        = string
  default     = "10.20.0.0/22"
  validation {
    condition     = can(cidrnetmask(var.cidr)) && can(regex("^(10|172\\.(1[6-9]|2\\d|3[01])|192\\.168)\\.", var.cidr)) && try(tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr: a private IPv4 range with at least 256 addresses, as in 10.20.0.0/22."
  }
}

variable "buckets" {
  description = "Names of the buckets: lake, where settings are put as well, and temp."
  type        = object({ lake = string, temp = string })
}

variable "lake" {
  description = "Where the tables are."
  type        = string
  validation {
    condition     = can(regex("^gs://[^/\\s]+(/[^/\\s]+)*$", var.lake))
    error_message = "lake: gs://BUCKET/FOLDER."
  }
}

variable "kms_key" {
  description = "Key that state is encrypted with."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[\\w-]+/cryptoKeys/[\\w-]+$", var.kms_key))
    error_message = "kms_key: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "accounts" {
  description = "Addresses of the accounts: launcher, and worker."
  type        = object({ launcher = string, worker = string })
}

variable "runners" {
  description = "Members that start the command's job, by account's name."
  type        = map(string)
}

variable "streams" {
  description = "Sources of the feeds that are landed continuously, by feed: kafka:BROKERS/TOPIC."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for source in values(var.streams) : can(regex("^kafka:.+/[A-Za-z0-9._-]+$", source))])
    error_message = "streams: kafka:BROKERS/TOPIC, by feed."
  }
}

variable "source_settings" {
  description = "Path of the Kafka client's settings within the image."
  type        = string
  default     = "/etc/isopach/kafka.properties"
  validation {
    condition     = can(regex("^/[\\w./-]+$", var.source_settings))
    error_message = "source_settings: an absolute path of letters, digits, ., _, / and -."
  }
}

variable "every" {
  description = "From one commit of a stream to the next."
  type        = string
  default     = "5s"
  validation {
    condition     = can(regex("^\\d{1,6}(\\.\\d+)?(ms|s|m|h|d)$", var.every))
    error_message = "every: a duration, as in 500ms, 5s or 2m."
  }
}

variable "machine_type" {
  description = "Machines of workers."
  type        = string
  default     = "n2-standard-4"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(?:-[a-z0-9]+)+$", var.machine_type))
    error_message = "machine_type: a type, as in n2-standard-4."
  }
}

variable "max_workers" {
  description = "The most workers of one job: what bounds its price."
  type        = number
  default     = 10
  validation {
    condition     = var.max_workers >= 1 && var.max_workers <= 4000
    error_message = "max_workers: 1 to 4000."
  }
}

variable "memory" {
  description = "Memory of the command's job, in GiB: a night that falls back runs within it."
  type        = number
  default     = 8
  validation {
    condition     = contains([4, 8, 16, 32], var.memory)
    error_message = "memory: 4, 8, 16 or 32."
  }
}
