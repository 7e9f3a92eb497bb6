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

variable "feeds" {
  description = "Names of the feeds, each a folder of the lake."
  type        = set(string)
  validation {
    condition     = length(var.feeds) > 0 && alltrue([for feed in var.feeds : can(regex("^[a-z][a-z0-9_]{0,62}$", feed))])
    error_message = "feeds: at least one; a name is at most 63 of a-z, 0-9 and _, a letter first."
  }
}

variable "folder" {
  description = "Folder of the tables in the lake's bucket."
  type        = string
  default     = "lake"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", var.folder))
    error_message = "folder: one folder, of a-z, 0-9, _ and -."
  }
}

variable "staging_days" {
  description = "After how many days what describes a run is deleted; what a gate holds can be approved until then."
  type        = number
  default     = 60
  validation {
    condition     = var.staging_days >= 30 && floor(var.staging_days) == var.staging_days
    error_message = "staging_days: at least 30, whole: what is held waits there for an approval."
  }
}

variable "writers" {
  description = "Names of the roles that write the lake and temporary files, by account's name."
  type        = map(string)
}

variable "readers" {
  description = "Names of the roles that read deliveries, by account's name."
  type        = map(string)
}

variable "senders" {
  description = "ARNs of those who deliver files."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.senders : can(regex("^arn:aws[\\w-]*:iam::\\d{12}:(role|user)/[\\w+=,.@/-]+$", arn))])
    error_message = "senders: arn:aws:iam::ACCOUNT:role/NAME, and never *."
  }
}
