# What is allowed is said, and checked, by ../../platform.
variable "account" {
  description = "Number of the account."
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

variable "labels" {
  description = "More labels of everything."
  type        = map(string)
  default     = {}
}

variable "approvers" {
  description = "Names of the roles that may approve what a gate holds."
  type        = set(string)
  default     = []
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
  description = "What a month may cost, in whole dollars."
  type        = number
}

variable "cidr" {
  description = "Range of the network."
  type        = string
  default     = "10.20.0.0/20"
}

variable "memory" {
  description = "Memory of the command, in GiB."
  type        = number
  default     = 8
}

variable "kafka_instance_type" {
  description = "Machines of Kafka's brokers."
  type        = string
  default     = "kafka.m7g.large"
}

variable "kafka_secret" {
  description = "ARN of the secret with username, password and settings of the Kafka client; must be given for feeds that are streamed."
  type        = string
  default     = null
}

variable "senders" {
  description = "ARNs of those who deliver files."
  type        = set(string)
  default     = []
}
