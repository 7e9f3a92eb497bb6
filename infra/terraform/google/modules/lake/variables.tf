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

variable "rotation_days" {
  description = "How often the key gets a new version, in days."
  type        = number
  default     = 90
  validation {
    condition     = var.rotation_days >= 1 && var.rotation_days <= 365
    error_message = "rotation_days: 1 to 365."
  }
}

variable "writers" {
  description = "Members that write the lake and temporary files, by account's name."
  type        = map(string)
}

variable "readers" {
  description = "Members that read deliveries, by account's name."
  type        = map(string)
}

variable "senders" {
  description = "Members that deliver files, as in serviceAccount:tills@example.iam.gserviceaccount.com."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for who in var.senders : can(regex("^(user|group|serviceAccount):[^\\s:@]+@[a-z0-9.-]+$", who))])
    error_message = "senders: user:, group: or serviceAccount: and an address, and never allUsers."
  }
}

variable "agents" {
  description = "Services whose agents use the key: what they keep is encrypted with it."
  type        = set(string)
  default     = ["storage", "kafka", "artifacts", "dataflow", "compute", "run", "dataproc", "workflows"]
  validation {
    condition     = length(setsubtract(var.agents, ["storage", "kafka", "artifacts", "dataflow", "compute", "run", "dataproc", "workflows"])) == 0
    error_message = "agents: some of storage, kafka, artifacts, dataflow, compute, run, dataproc and workflows."
  }
}
