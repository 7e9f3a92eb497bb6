# Micro-batches are started without a workflow.
resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  count    = length(var.micro_batches) > 0 ? 1 : 0
  project  = var.project
  location = var.region
  name     = var.job
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = "serviceAccount:${var.accounts.scheduler}"
}
