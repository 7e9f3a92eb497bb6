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

variable "approvers" {
  description = "Who may approve what a gate holds, as in group:data@example.com."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for who in var.approvers : can(regex("^(user|group|serviceAccount):[^\\s:@]+@[a-z0-9.-]+$", who))])
    error_message = "approvers: user:, group: or serviceAccount: and an address, and never allUsers."
  }
}
