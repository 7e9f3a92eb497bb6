project     = "acme-isopach-prod"
region      = "europe-west3"
name        = "isopach-prod"
environment = "prod"
owner       = "data-platform"
cost_centre = "cc-4711"
release     = "0.1.0"
emails      = ["data@example.com"]
senders     = ["serviceAccount:tills@acme-stores.iam.gserviceaccount.com"]
producers   = ["tills@acme-stores.iam.gserviceaccount.com"]
approvers   = ["group:data@example.com"]
budget      = { account = "012345-6789AB-CDEF01", amount = 3000, currency = "EUR" }
max_workers = 20
