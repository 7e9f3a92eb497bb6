# To connect at all; what may be read is said by the topics' lists.
resource "google_project_iam_member" "clients" {
  for_each = var.readers
  project  = var.project
  role     = "roles/managedkafka.client"
  member   = "serviceAccount:${each.value}"
}

resource "google_managed_kafka_acl" "feed" {
  for_each = var.feeds
  project  = var.project
  location = var.region
  cluster  = google_managed_kafka_cluster.this.cluster_id
  acl_id   = "topic/${google_managed_kafka_topic.feed[each.key].topic_id}"

  dynamic "acl_entries" {
    for_each = setproduct(values(var.readers), ["READ", "DESCRIBE"])
    content {
      principal       = "User:${acl_entries.value[0]}"
      permission_type = "ALLOW"
      operation       = acl_entries.value[1]
      host            = "*"
    }
  }
}
