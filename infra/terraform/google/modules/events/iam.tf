# To connect at all; what may be read is said by the topics' lists.
resource "google_project_iam_member" "clients" {
  for_each = merge(var.readers, { for address in var.producers : address => address })
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
    for_each = concat(
      setproduct(values(var.readers), ["READ", "DESCRIBE"]),
      setproduct(tolist(var.producers), ["WRITE", "DESCRIBE"]),
    )
    content {
      principal       = "User:${acl_entries.value[0]}"
      permission_type = "ALLOW"
      operation       = acl_entries.value[1]
      host            = "*"
    }
  }
}
