# What is allowed is said, and checked, by ../../platform.
variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of everything."
  type        = string
}

variable "name" {
  description = "What names of resources begin with, as in isopach-prod."
  type        = string
}

variable "approvers" {
  description = "Who may approve what a gate holds, as in group:data@example.com."
  type        = set(string)
  default     = []
}

variable "labels" {
  description = "More labels of everything."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "What this is: dev or prod."
  type        = string
}

variable "owner" {
  description = "Who answers for it, as a label."
  type        = string
}

variable "cost_centre" {
  description = "Who pays, as a label."
  type        = string
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
}

variable "release" {
  description = "Tag of the images."
  type        = string
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
