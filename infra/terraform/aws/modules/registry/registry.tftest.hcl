mock_provider "aws" {}

variables {
  account = "111122223333"
  region  = "eu-central-1"
  name    = "isopach-test"
  labels  = { owner = "data", environment = "test", cost_centre = "cc-1" }
  kms_key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  pullers = { execution = "isopach-test-execution" }
}

run "repositories" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "A tag never moves to another image, and images are scanned."
  }
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.encryption_configuration[0].kms_key == var.kms_key])
    error_message = "Images are encrypted with our key."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.pullers["execution"].policy).Statement[0].Resource[0] == "arn:aws:ecr:eu-central-1:111122223333:repository/isopach-test/isopach"
    error_message = "Who pulls reads this repository."
  }
  assert {
    condition     = output.addresses["isopach"] == "111122223333.dkr.ecr.eu-central-1.amazonaws.com/isopach-test/isopach"
    error_message = "What tags begin with."
  }
}

run "refused" {
  command = plan
  variables {
    # One image is not enough.
    keep = 1
    # A key has its whole name.
    kms_key = "lake"
  }
  expect_failures = [var.keep, var.kms_key]
}
