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

variable "emails" {
  description = "Who is told."
  type        = set(string)
  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^\\s@]+@[^\\s@]+\\.[a-z]{2,}$", email))])
    error_message = "emails: at least one address, as in data@example.com."
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

variable "tolerated_differences" {
  description = "How many windows of a night may differ from its stream."
  type        = number
  default     = 0
  validation {
    condition     = var.tolerated_differences >= 0 && floor(var.tolerated_differences) == var.tolerated_differences
    error_message = "tolerated_differences: 0 or more, whole."
  }
}

variable "log_group" {
  description = "Where the command's output goes."
  type        = string
}

variable "machines" {
  description = "Names of the state machines that are watched."
  type        = set(string)
}

variable "streams" {
  description = "Feeds that are streamed."
  type        = set(string)
  default     = []
}

variable "watermark_minutes" {
  description = "How long a stream may land nothing."
  type        = number
  default     = 30
  validation {
    condition     = contains([5, 10, 15, 30, 60], var.watermark_minutes)
    error_message = "watermark_minutes: 5, 10, 15, 30 or 60."
  }
}

variable "lag_seconds" {
  description = "How long a landing may take."
  type        = number
  default     = 120
  validation {
    condition     = var.lag_seconds >= 1 && var.lag_seconds <= 86400
    error_message = "lag_seconds: 1 to 86400."
  }
}

variable "budget" {
  description = "What a month may cost, in whole dollars."
  type        = number
  validation {
    condition     = var.budget >= 1 && floor(var.budget) == var.budget
    error_message = "budget: at least 1, whole."
  }
}
