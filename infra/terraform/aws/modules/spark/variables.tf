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

variable "tables" {
  description = "Tables to maintain, by name: address, and columns to sort by."
  type        = map(object({ path = string, z_order = list(string) }))
  validation {
    condition     = alltrue([for table in values(var.tables) : can(regex("^s3://[^/\\s]+/\\S+$", table.path))])
    error_message = "tables: path is s3://BUCKET/FOLDER."
  }
}

variable "image" {
  description = "Image with Isopach, Delta's jars and Spark, with its tag or digest."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image: an image with its tag or digest, as in REGISTRY/isopach:1."
  }
}

variable "subnets" {
  description = "Private subnets of executors."
  type        = list(string)
  validation {
    condition     = length(var.subnets) >= 1
    error_message = "subnets: at least one."
  }
}

variable "security_group" {
  description = "Security group of executors."
  type        = string
}

variable "roles" {
  description = "ARNs of the roles: spark, workflow and scheduler."
  type        = object({ spark = string, workflow = string, scheduler = string })
}

variable "role_names" {
  description = "Names of the same: workflow and scheduler."
  type        = object({ workflow = string, scheduler = string })
}

variable "schedule" {
  description = "When tables are maintained: a cron line, in UTC."
  type        = string
  default     = "cron(30 12 ? * SUN *)"
  validation {
    condition     = can(regex("^cron\\(([\\w*,/?#-]+ ){5}[\\w*,/?#-]+\\)$", var.schedule))
    error_message = "schedule: cron and six fields, as in cron(30 12 ? * SUN *)."
  }
}

variable "max_vcpus" {
  description = "The most cores of all jobs together: what bounds their price."
  type        = number
  default     = 16
  validation {
    condition     = var.max_vcpus >= 4 && var.max_vcpus <= 400
    error_message = "max_vcpus: 4 to 400."
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
