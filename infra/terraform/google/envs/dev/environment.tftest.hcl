mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
}

mock_provider "google-beta" {}

# With this environment's own variables.
run "environment" {
  command = plan

  assert {
    condition     = length(output.schedules) == sum([for feed in values(var.feeds) : length(feed.nights)])
    error_message = "A schedule for each night that the feeds declare."
  }
  assert {
    condition     = output.lake == "gs://${var.project}-${var.name}-lake/lake" && strcontains(var.project, var.environment)
    error_message = "Each environment has a project and a lake of its own."
  }
  assert {
    condition     = toset(keys(output.sources)) == toset([for name, feed in var.feeds : name if feed.cadence != "nightly"])
    error_message = "Feeds that are streamed have a topic."
  }
}
