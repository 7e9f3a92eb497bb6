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

variable "kms_key" {
  description = "Key that images are encrypted with."
  type        = string
  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[\\w-]+/cryptoKeys/[\\w-]+$", var.kms_key))
    error_message = "kms_key: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "keep" {
  description = "How many images are kept whatever their age."
  type        = number
  default     = 10
  validation {
    condition     = var.keep >= 2
    error_message = "keep: at least 2, the one that runs and the one to go back to."
  }
}

variable "pullers" {
  description = "Members that pull images, by account's name."
  type        = map(string)
}
