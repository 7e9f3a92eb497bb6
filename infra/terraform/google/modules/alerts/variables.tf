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

variable "emails" {
  description = "Who is told."
  type        = set(string)
  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^\\s@]+@[^\\s@]+\\.[a-z]{2,}$", email))])
    error_message = "emails: at least one address, as in data@example.com."
  }
}

variable "watermark_minutes" {
  description = "How old a stream's watermark may be."
  type        = number
  default     = 30
  validation {
    condition     = var.watermark_minutes >= 1 && var.watermark_minutes <= 1440
    error_message = "watermark_minutes: 1 to 1440."
  }
}

variable "lag_seconds" {
  description = "How long an event may wait in a stream."
  type        = number
  default     = 120
  validation {
    condition     = var.lag_seconds >= 5 && var.lag_seconds <= 86400
    error_message = "lag_seconds: 5 to 86400."
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

variable "budget" {
  description = "What a month may cost: account, whole units of the currency, and its code."
  type        = object({ account = string, amount = number, currency = string })
  validation {
    condition     = can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.budget.account))
    error_message = "budget: account: a billing account, as in 012345-6789AB-CDEF01."
  }
  validation {
    condition     = var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount
    error_message = "budget: amount: at least 1, whole."
  }
  validation {
    condition     = can(regex("^[A-Z]{3}$", var.budget.currency))
    error_message = "budget: currency: three capital letters, as in EUR."
  }
}
