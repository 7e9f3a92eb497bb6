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

variable "approvers" {
  description = "Who may approve what a gate holds, as in group:data@example.com."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for who in var.approvers : can(regex("^(user|group|serviceAccount):[^\\s:@]+@[a-z0-9.-]+$", who))])
    error_message = "approvers: user:, group: or serviceAccount: and an address, and never allUsers."
  }
}

variable "labels" {
  description = "More labels of everything."
  type        = map(string)
  default     = {}
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
  description = "What a month may cost: account, whole units of the currency, and its code."
  type        = object({ account = string, amount = number, currency = string })
}

variable "cidr" {
  description = "Range of the workers' subnetwork."
  type        = string
  default     = "10.20.0.0/22"
}

variable "machine_type" {
  description = "Machines of workers."
  type        = string
  default     = "n2-standard-4"
}

variable "max_workers" {
  description = "The most workers of one job."
  type        = number
  default     = 10
}

variable "kafka_vcpus" {
  description = "Cores of the Kafka cluster."
  type        = number
  default     = 3
}

variable "senders" {
  description = "Members that deliver files, as in serviceAccount:tills@example.iam.gserviceaccount.com."
  type        = set(string)
  default     = []
}

variable "producers" {
  description = "Addresses of the accounts that send events."
  type        = set(string)
  default     = []
}
