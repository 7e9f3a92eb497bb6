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

variable "subnets" {
  description = "Private subnets of the brokers, one in each zone."
  type        = list(string)
  validation {
    condition     = length(var.subnets) >= 2 && length(var.subnets) <= 3
    error_message = "subnets: 2 or 3."
  }
}

variable "vpc" {
  description = "VPC that brokers are in."
  type        = string
}

variable "clients" {
  description = "Security groups that brokers are reached from, by client's name."
  type        = map(string)
}

variable "instance_type" {
  description = "Machines of brokers."
  type        = string
  default     = "kafka.m7g.large"
  validation {
    condition     = can(regex("^kafka\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "instance_type: a type, as in kafka.m7g.large."
  }
}

variable "disk_gib" {
  description = "Disk of each broker."
  type        = number
  default     = 100
  validation {
    condition     = var.disk_gib >= 1 && var.disk_gib <= 16384
    error_message = "disk_gib: 1 to 16384."
  }
}

variable "partitions" {
  description = "Partitions of each topic; one is made when its first event is sent."
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

variable "secrets" {
  description = "ARNs of the secrets with users and passwords, named AmazonMSK_… as the service asks for."
  type        = set(string)
  validation {
    condition     = alltrue([for arn in var.secrets : can(regex("^arn:aws[\\w-]*:secretsmanager:[a-z0-9-]+:\\d{12}:secret:AmazonMSK_[\\w/+=.@-]+$", arn))])
    error_message = "secrets: arn:aws:secretsmanager:REGION:ACCOUNT:secret:AmazonMSK_NAME."
  }
}
