project      = "acme-isopach-dev"
region       = "europe-west3"
name         = "isopach-dev"
environment  = "dev"
owner        = "data-platform"
cost_centre  = "cc-4711"
release      = "0.1.0"
emails       = ["data@example.com"]
senders      = ["serviceAccount:tills@acme-stores.iam.gserviceaccount.com"]
producers    = ["tills@acme-stores.iam.gserviceaccount.com"]
approvers    = ["group:data@example.com"]
budget       = { account = "012345-6789AB-CDEF01", amount = 300, currency = "EUR" }
max_workers  = 2
machine_type = "n2-standard-2"
