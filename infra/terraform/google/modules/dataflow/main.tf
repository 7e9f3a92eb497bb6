locals {
  settings = "/settings"
  options = {
    project          = var.project
    region           = var.region
    temp_location    = "gs://${var.buckets.temp}/dataflow"
    service_account  = var.accounts.worker
    subnetwork       = "regions/${var.region}/subnetworks/${google_compute_subnetwork.this.name}"
    kms_key          = var.kms_key
    machine_type     = var.machine_type
    max_workers      = var.max_workers
    container_image  = var.image
    use_public_ips   = false
    labels           = var.labels
    streaming_engine = true
  }
  # The template's description lies beside its image, and names no other.
  spec = merge(jsondecode(file("${path.module}/../../../../dataflow/spec.json")), { image = var.image })
}

# What `isopach submit --settings` reads, beside the tables and mounted where the command runs.
resource "google_storage_bucket_object" "settings" {
  bucket       = var.buckets.lake
  name         = "settings/dataflow.yaml"
  content      = yamlencode(local.options)
  content_type = "application/yaml"
}

resource "google_storage_bucket_object" "spec" {
  bucket       = var.buckets.lake
  name         = "settings/stream.json"
  content      = jsonencode(local.spec)
  content_type = "application/json"
}

# The command: nights, approvals and status are all started as this job with other arguments.
resource "google_cloud_run_v2_job" "isopach" {
  project             = var.project
  location            = var.region
  name                = var.name
  labels              = var.labels
  deletion_protection = false

  template {
    task_count = 1
    template {
      service_account       = var.accounts.launcher
      encryption_key        = var.kms_key
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      # Whether to try again depends on the exit code, which the workflow knows.
      max_retries = 0
      timeout     = "86400s"

      containers {
        image   = var.image
        command = ["timeout"]
        args    = ["60", "isopach", "--help"]
        resources {
          limits = {
            cpu    = var.memory > 16 ? "8" : "4"
            memory = "${var.memory}Gi"
          }
        }
        env {
          name  = "ISOPACH_LAKE"
          value = var.lake
        }
        volume_mounts {
          name       = "settings"
          mount_path = local.settings
        }
      }

      volumes {
        name = "settings"
        gcs {
          bucket        = google_storage_bucket_object.settings.bucket
          read_only     = true
          mount_options = ["only-dir=settings"]
        }
      }

      vpc_access {
        egress = "ALL_TRAFFIC"
        network_interfaces {
          network    = google_compute_network.this.name
          subnetwork = google_compute_subnetwork.this.name
          tags       = ["isopach"]
        }
      }
    }
  }
}

resource "google_dataflow_flex_template_job" "stream" {
  provider                     = google-beta
  for_each                     = var.streams
  project                      = var.project
  region                       = var.region
  name                         = "${var.name}-stream-${replace(each.key, "_", "-")}"
  container_spec_gcs_path      = "gs://${google_storage_bucket_object.spec.bucket}/${google_storage_bucket_object.spec.name}"
  service_account_email        = var.accounts.worker
  subnetwork                   = local.options.subnetwork
  ip_configuration             = "WORKER_IP_PRIVATE"
  kms_key_name                 = var.kms_key
  machine_type                 = var.machine_type
  num_workers                  = 1
  max_workers                  = var.max_workers
  temp_location                = local.options.temp_location
  staging_location             = local.options.temp_location
  sdk_container_image          = var.image
  enable_streaming_engine      = true
  on_delete                    = "drain"
  skip_wait_on_job_termination = false
  labels                       = merge(var.labels, { feed = each.key })
  parameters = {
    feed            = each.key
    source          = each.value
    source_settings = var.source_settings
    lake            = var.lake
    every           = var.every
  }
}
