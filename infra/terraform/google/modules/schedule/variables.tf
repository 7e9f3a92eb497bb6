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

variable "nights" {
  description = "A night for each feed, time zone and deadline, as `isopach infra render` writes them."
  type = map(object({
    feed         = string
    time_zone    = string
    run_at       = string
    back_seconds = number
    sites        = list(string)
  }))
  validation {
    condition     = alltrue([for name in keys(var.nights) : can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", name))])
    error_message = "nights: a name is 2 to 40 of a-z, 0-9 and -, a letter first."
  }
  validation {
    condition     = alltrue([for night in values(var.nights) : can(regex("^([01]\\d|2[0-3]):[0-5]\\d$", night.run_at))])
    error_message = "nights: run_at is a time of day, HH:MM."
  }
  validation {
    condition     = alltrue([for night in values(var.nights) : can(regex("^[A-Z][A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$", night.time_zone))])
    error_message = "nights: time_zone is an IANA name, as in Europe/Berlin."
  }
  validation {
    condition     = alltrue([for night in values(var.nights) : length(night.sites) > 0])
    error_message = "nights: sites: at least one."
  }
}

variable "micro_batches" {
  description = "Sources of the feeds that are landed every few minutes, by feed."
  type        = map(string)
  default     = {}
}

variable "source_settings" {
  description = "Path of the Kafka client's settings within the image."
  type        = string
  default     = "/etc/isopach/kafka.properties"
}

variable "every_minutes" {
  description = "From one micro-batch to the next."
  type        = number
  default     = 5
  validation {
    condition     = contains([1, 2, 3, 5, 10, 15, 20, 30], var.every_minutes)
    error_message = "every_minutes: 1, 2, 3, 5, 10, 15, 20 or 30."
  }
}

variable "job" {
  description = "Name of the command's job."
  type        = string
}

variable "settings" {
  description = "Where the command finds its settings."
  type        = string
}

variable "lake" {
  description = "Where the tables are."
  type        = string
  validation {
    condition     = can(regex("^gs://[^/\\s]+(/[^/\\s]+)*$", var.lake))
    error_message = "lake: gs://BUCKET/FOLDER."
  }
}

variable "landing" {
  description = "Where deliveries lie."
  type        = string
  validation {
    condition     = can(regex("^gs://[^/\\s]+(/[^/\\s]+)*$", var.landing))
    error_message = "landing: gs://BUCKET/FOLDER."
  }
}

variable "kms_key" {
  description = "Key that workflows are encrypted with."
  type        = string
}

variable "accounts" {
  description = "Addresses of the accounts: workflow, and scheduler."
  type        = object({ workflow = string, scheduler = string })
}

variable "attempts" {
  description = "How often a night is tried."
  type        = number
  default     = 3
  validation {
    condition     = var.attempts >= 1 && var.attempts <= 5
    error_message = "attempts: 1 to 5."
  }
}

variable "time_out_minutes" {
  description = "After how many minutes a night on Dataflow is given up, and run by the command itself."
  type        = number
  default     = 180
  validation {
    condition     = var.time_out_minutes >= 10 && var.time_out_minutes <= 720
    error_message = "time_out_minutes: 10 to 720."
  }
}

variable "approve_hours" {
  description = "How many hours what a gate holds waits for an approval."
  type        = number
  default     = 12
  validation {
    condition     = var.approve_hours >= 1 && var.approve_hours <= 168
    error_message = "approve_hours: 1 to 168."
  }
}

variable "memory" {
  description = "What a night that falls back may take, as in 6GB."
  type        = string
  default     = "6GB"
  validation {
    condition     = can(regex("^\\d+(\\.\\d+)?[MG]B$", var.memory))
    error_message = "memory: an amount, as in 6GB or 800MB."
  }
}

variable "maintain_at" {
  description = "When each feed's tables are maintained: a cron line, in UTC."
  type        = string
  default     = "0 20 * * 0"
  validation {
    condition     = can(regex("^([\\d*,/-]+ ){4}[\\d*,/-]+$", var.maintain_at))
    error_message = "maintain_at: five fields of cron, as in 0 20 * * 0."
  }
}
