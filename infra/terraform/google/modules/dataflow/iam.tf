# To start the job with arguments, and to read its exit code.
resource "google_cloud_run_v2_job_iam_member" "runners" {
  for_each = var.runners
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.isopach.name
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = each.value
}

resource "google_cloud_run_v2_job_iam_member" "viewers" {
  for_each = var.runners
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.isopach.name
  role     = "roles/run.viewer"
  member   = each.value
}
