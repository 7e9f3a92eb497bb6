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

variable "approvers" {
  description = "Names of the roles that may approve what a gate holds."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for role in var.approvers : can(regex("^[\\w+=,.@-]{1,64}$", role)) && role != "*"])
    error_message = "approvers: names of roles, without ARN, 1 to 64 of letters, digits and + = , . @ - _."
  }
}
