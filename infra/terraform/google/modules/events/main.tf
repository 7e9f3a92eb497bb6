resource "google_managed_kafka_cluster" "this" {
  project    = var.project
  cluster_id = var.name
  location   = var.region
  labels     = var.labels

  capacity_config {
    vcpu_count   = tostring(var.vcpus)
    memory_bytes = tostring(var.vcpus * 4294967296)
  }

  # Reached from this subnetwork alone: a managed cluster has no public address.
  gcp_config {
    kms_key = var.kms_key
    access_config {
      network_configs {
        subnet = var.subnetwork
      }
    }
  }
}

resource "google_managed_kafka_topic" "feed" {
  for_each           = var.feeds
  project            = var.project
  location           = var.region
  cluster            = google_managed_kafka_cluster.this.cluster_id
  topic_id           = each.value
  partition_count    = var.partitions
  replication_factor = 3
  configs = {
    "cleanup.policy"      = "delete"
    "retention.ms"        = tostring(var.retention_days * 86400000)
    "min.insync.replicas" = "2"
  }
}
