output "brokers" {
  description = "Where clients begin."
  value       = "bootstrap.${google_managed_kafka_cluster.this.cluster_id}.${var.region}.managedkafka.${var.project}.cloud.goog:9092"
}

output "sources" {
  description = "What --source is given, by feed."
  value = {
    for feed in var.feeds : feed =>
    "kafka:bootstrap.${google_managed_kafka_cluster.this.cluster_id}.${var.region}.managedkafka.${var.project}.cloud.goog:9092/${google_managed_kafka_topic.feed[feed].topic_id}"
  }
}
