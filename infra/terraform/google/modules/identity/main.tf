# One account for each thing that acts; nobody shares one, and none has a key.
locals {
  accounts = {
    launcher  = "Runs isopach: nights, approvals, status"
    worker    = "Dataflow's workers"
    spark     = "Maintenance on Dataproc Serverless"
    workflow  = "Steps of a night"
    scheduler = "Starts a night when its deadline has passed"
  }
}

resource "google_service_account" "this" {
  for_each     = local.accounts
  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = each.value
}
