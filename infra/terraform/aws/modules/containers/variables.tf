variable "account" {
  description = "Number of the account."
  type        = string
  validation {
    condition     = can(regex("^\\d{12}$", var.account))
    error_message = "account: 12 digits."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-\\d$", var.region))
    error_message = "region: a region, as in eu-central-1."
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
  description = "Tags of everything: owner, environment and cost_centre must be there."
  type        = map(string)
  validation {
    condition     = length(setsubtract(["owner", "environment", "cost_centre"], keys(var.labels))) == 0
    error_message = "labels: owner, environment and cost_centre must be given."
  }
  validation {
    condition     = alltrue([for name, value in var.labels : can(regex("^[\\w.:/=+@-]{1,128}$", name)) && !startswith(name, "aws:") && can(regex("^[\\w .:/=+@-]{0,256}$", value))])
    error_message = "labels: names and values are letters, digits and . : / = + @ - _, and no name begins with aws:."
  }
}

variable "kms_key" {
  description = "ARN of the key that all is encrypted with."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[\\w-]*:kms:[a-z0-9-]+:\\d{12}:key/[\\w-]+$", var.kms_key))
    error_message = "kms_key: arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "image" {
  description = "Image of Isopach with its tag or digest."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image: an image with its tag or digest, as in REGISTRY/isopach:1."
  }
}

variable "lake" {
  description = "Where the tables are."
  type        = string
  validation {
    condition     = can(regex("^s3://[^/\\s]+(/[^/\\s]+)*$", var.lake))
    error_message = "lake: s3://BUCKET/FOLDER."
  }
}

variable "cidr" {
  description = "Range of the network."
  type        = string
  default     = "10.20.0.0/20"
  validation {
    condition     = can(cidrnetmask(var.cidr)) && can(regex("^(10|172\\.(1[6-9]|2\\d|3[01])|192\\.168)\\.", var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22, false)
    error_message = "cidr: a private IPv4 range of /16 to /22, as in 10.20.0.0/20."
  }
}

variable "zones" {
  description = "Zones of the region, by letter; a subnet each."
  type        = list(string)
  default     = ["a", "b", "c"]
  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 3 && alltrue([for zone in var.zones : can(regex("^[a-f]$", zone))])
    error_message = "zones: 2 or 3 of a to f."
  }
}

variable "roles" {
  description = "ARNs of the roles: launcher, which the command acts as, and execution, which starts it."
  type        = object({ launcher = string, execution = string })
}

variable "execution_role" {
  description = "Name of the role that starts containers."
  type        = string
}

variable "memory" {
  description = "Memory of the command, in GiB."
  type        = number
  default     = 8
  validation {
    condition     = contains([4, 8, 16, 30], var.memory)
    error_message = "memory: 4, 8, 16 or 30."
  }
}

variable "streams" {
  description = "Feeds that are streamed, with cadence, brokers and the secret of the client's settings, by feed."
  type        = map(object({ cadence = string, brokers = string, secret = string }))
  default     = {}
  validation {
    condition     = alltrue([for stream in values(var.streams) : contains(["micro-batch", "continuous"], stream.cadence)])
    error_message = "streams: cadence is micro-batch or continuous."
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
