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

variable "lake" {
  description = "Where the tables are."
  type        = string
  validation {
    condition     = can(regex("^s3://[^/\\s]+(/[^/\\s]+)*$", var.lake))
    error_message = "lake: s3://BUCKET/FOLDER."
  }
}

variable "landing" {
  description = "Where deliveries lie."
  type        = string
  validation {
    condition     = can(regex("^s3://[^/\\s]+(/[^/\\s]+)*$", var.landing))
    error_message = "landing: s3://BUCKET/FOLDER."
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

variable "cluster" {
  description = "ARN of the cluster that the command runs in."
  type        = string
}

variable "family" {
  description = "Name of the command's task."
  type        = string
}

variable "subnets" {
  description = "Subnets that the command runs in."
  type        = list(string)
}

variable "security_group" {
  description = "Security group of the command."
  type        = string
}

variable "topic" {
  description = "ARN of the topic that alarms go to."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[\\w-]*:sns:[a-z0-9-]+:\\d{12}:[\\w-]+$", var.topic))
    error_message = "topic: arn:aws:sns:REGION:ACCOUNT:NAME."
  }
}

variable "roles" {
  description = "ARNs of the roles: launcher, execution, workflow and scheduler."
  type        = object({ launcher = string, execution = string, workflow = string, scheduler = string })
}

variable "role_names" {
  description = "Names of the roles: workflow and scheduler."
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
  description = "After how many minutes a night on spot machines is given up, and run on larger ones that nobody takes away."
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
  description = "What the command's rows may take: of a night, and of one that falls back."
  type        = object({ night = string, fall_back = string })
  default     = { night = "6GB", fall_back = "24GB" }
  validation {
    condition     = alltrue([for amount in values(var.memory) : can(regex("^\\d+(\\.\\d+)?[MG]B$", amount))])
    error_message = "memory: amounts, as in 6GB or 800MB."
  }
}

variable "maintain_at" {
  description = "When each feed's tables are maintained: a cron line, in UTC."
  type        = string
  default     = "cron(0 20 ? * SUN *)"
  validation {
    condition     = can(regex("^cron\\(([\\w*,/?#-]+ ){5}[\\w*,/?#-]+\\)$", var.maintain_at))
    error_message = "maintain_at: cron and six fields, as in cron(0 20 ? * SUN *)."
  }
}
