# Bindings on the project, of services that know no smaller resource; all others are on the resource.
locals {
  members = { for name, account in google_service_account.this : name => "serviceAccount:${account.account_id}@${var.project}.iam.gserviceaccount.com" }
  on_project = {
    launcher-dataflow   = { role = "roles/dataflow.developer", member = local.members.launcher }
    worker-dataflow     = { role = "roles/dataflow.worker", member = local.members.worker }
    spark-dataproc      = { role = "roles/dataproc.worker", member = local.members.spark }
    workflow-log        = { role = "roles/logging.logWriter", member = local.members.workflow }
    workflow-batches    = { role = "projects/${var.project}/roles/${google_project_iam_custom_role.batches.role_id}", member = local.members.workflow }
    scheduler-workflows = { role = "roles/workflows.invoker", member = local.members.scheduler }
  }
  # Who acts as whom.
  acting = {
    launcher-worker = { account = "worker", member = local.members.launcher }
    workflow-spark  = { account = "spark", member = local.members.workflow }
  }
}

resource "google_project_iam_custom_role" "batches" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_batches"
  title       = "Start and follow Dataproc batches"
  permissions = ["dataproc.batches.create", "dataproc.batches.get", "dataproc.batches.cancel"]
}

resource "google_project_iam_member" "this" {
  #checkov:skip=CKV_GCP_49:Dataflow knows no smaller resource than the project; acting as the workers is bound on their account
  for_each = local.on_project
  project  = var.project
  role     = each.value.role
  member   = each.value.member
}

# Whoever approves answers a night that waits, and starts none.
resource "google_project_iam_custom_role" "approve" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_approve"
  title       = "Answer workflows that wait"
  permissions = ["workflows.callbacks.send"]
}

resource "google_project_iam_member" "approvers" {
  for_each = var.approvers
  project  = var.project
  role     = "projects/${var.project}/roles/${google_project_iam_custom_role.approve.role_id}"
  member   = each.value
}

resource "google_service_account_iam_member" "acting" {
  for_each           = local.acting
  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.this[each.value.account].account_id}@${var.project}.iam.gserviceaccount.com"
  role               = "roles/iam.serviceAccountUser"
  member             = each.value.member
}
