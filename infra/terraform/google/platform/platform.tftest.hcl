mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
}

mock_provider "google-beta" {}

variables {
  project     = "acme-nights"
  region      = "europe-west3"
  name        = "isopach-test"
  environment = "dev"
  owner       = "data"
  cost_centre = "cc-1"
  release     = "0.1.0"
  emails      = ["data@example.com"]
  budget      = { account = "012345-6789AB-CDEF01", amount = 300, currency = "EUR" }
  feeds = {
    sales = {
      cadence = "continuous"
      nights = {
        sales-asia-tokyo-0130 = { time_zone = "Asia/Tokyo", deadline = "01:30", run_at = "01:45", back_seconds = 17100, sites = ["S007"] }
      }
    }
    flights = {
      cadence = "nightly"
      nights = {
        flights-america-chicago-0600 = { time_zone = "America/Chicago", deadline = "06:00", run_at = "06:15", back_seconds = 87300, sites = ["ORD"] }
      }
    }
  }
}

run "platform" {
  command = plan

  assert {
    condition     = output.schedules["sales-asia-tokyo-0130"] == "45 1 * * * Asia/Tokyo" && length(output.schedules) == 2
    error_message = "A schedule for each night of all feeds."
  }
  assert {
    condition     = toset(keys(output.sources)) == toset(["sales"])
    error_message = "A topic for each feed that is streamed."
  }
}

run "only_nights" {
  command = plan
  variables {
    feeds = {
      sales = { cadence = "nightly", nights = {} }
    }
  }

  assert {
    condition     = length(module.events) == 0
    error_message = "Without streams there is no Kafka to pay for."
  }
}

run "a_cadence_is_known" {
  command = plan
  variables {
    feeds = { sales = { cadence = "hourly", nights = {} } }
  }
  expect_failures = [var.feeds]
}

run "a_release_is_not_latest" {
  command = plan
  variables {
    release = "latest"
  }
  expect_failures = [var.release]
}

run "an_environment_is_known" {
  command = plan
  variables {
    environment = "test"
  }
  expect_failures = [var.environment]
}

run "an_owner_is_a_label" {
  command = plan
  variables {
    owner = "Data Platform"
  }
  expect_failures = [var.owner]
}

run "somebody_pays" {
  command = plan
  variables {
    cost_centre = ""
  }
  expect_failures = [var.cost_centre]
}
