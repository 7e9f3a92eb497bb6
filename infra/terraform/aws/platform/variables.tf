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
  description = "More labels of everything."
  type        = map(string)
  default     = {}
}

variable "approvers" {
  description = "Names of the roles that may approve what a gate holds."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for role in var.approvers : can(regex("^[\\w+=,.@-]{1,64}$", role)) && role != "*"])
    error_message = "approvers: names of roles, without ARN, 1 to 64 of letters, digits and + = , . @ - _."
  }
}

variable "environment" {
  description = "What this is: dev or prod."
  type        = string
  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment: dev or prod."
  }
}

variable "owner" {
  description = "Who answers for it, as a label."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9_-]{1,63}$", var.owner))
    error_message = "owner: 1 to 63 of a-z, 0-9, _ and -."
  }
}

variable "cost_centre" {
  description = "Who pays, as a label."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9_-]{1,63}$", var.cost_centre))
    error_message = "cost_centre: 1 to 63 of a-z, 0-9, _ and -."
  }
}

variable "feeds" {
  description = "Cadence and nights of each feed: what `isopach infra render` writes."
  type = map(object({
    cadence = string
    nights = map(object({
      time_zone    = string
      deadline     = string
      run_at       = string
      back_seconds = number
      sites        = list(string)
    }))
  }))
  validation {
    condition     = alltrue([for feed in values(var.feeds) : contains(["nightly", "micro-batch", "continuous"], feed.cadence)])
    error_message = "feeds: cadence is nightly, micro-batch or continuous."
  }
}

variable "release" {
  description = "Tag of the images."
  type        = string
  validation {
    condition     = can(regex("^[\\w][\\w.-]{0,127}$", var.release)) && var.release != "latest"
    error_message = "release: a tag, as in 0.1.0, and never latest: a job is unpickled by what pickled it."
  }
}

variable "emails" {
  description = "Who is told of alarms."
  type        = set(string)
}

variable "tolerated_differences" {
  description = "How many windows of a night may differ from its stream."
  type        = number
  default     = 0
}

variable "budget" {
  description = "What a month may cost, in whole dollars."
  type        = number
}

variable "cidr" {
  description = "Range of the network."
  type        = string
  default     = "10.20.0.0/20"
}

variable "memory" {
  description = "Memory of the command, in GiB."
  type        = number
  default     = 8
}

variable "kafka_instance_type" {
  description = "Machines of Kafka's brokers."
  type        = string
  default     = "kafka.m7g.large"
}

variable "kafka_secret" {
  description = "ARN of the secret with username, password and settings of the Kafka client; must be given for feeds that are streamed."
  type        = string
  default     = null
  validation {
    condition     = var.kafka_secret != null || alltrue([for feed in values(var.feeds) : feed.cadence == "nightly"])
    error_message = "kafka_secret: must be given for feeds that are streamed."
  }
}

variable "senders" {
  description = "ARNs of those who deliver files."
  type        = set(string)
  default     = []
}
