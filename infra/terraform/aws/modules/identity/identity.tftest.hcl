mock_provider "aws" {}

variables {
  account   = "111122223333"
  region    = "eu-central-1"
  name      = "isopach-test"
  labels    = { owner = "data", environment = "test", cost_centre = "cc-1" }
  approvers = ["data-platform"]
}

run "roles" {
  command = plan

  assert {
    condition     = toset(keys(aws_iam_role.this)) == toset(["launcher", "execution", "spark", "workflow", "scheduler"])
    error_message = "One role for each thing that acts."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == var.account])
    error_message = "Services act for this account alone."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["scheduler"].assume_role_policy).Statement[0].Principal.Service == "scheduler.amazonaws.com"
    error_message = "Each role is of one service."
  }
  assert {
    condition     = jsondecode(aws_iam_policy.approve.policy).Statement[0].Resource == "arn:aws:states:eu-central-1:111122223333:stateMachine:isopach-test-night" && toset(jsondecode(aws_iam_policy.approve.policy).Statement[0].Action) == toset(["states:SendTaskSuccess", "states:SendTaskFailure"])
    error_message = "Whoever approves answers nights, and starts none."
  }
}

run "refused" {
  command = plan
  variables {
    # Anybody cannot approve.
    approvers = ["*"]
    # An account is a number.
    account = "mine"
    # A region is no zone.
    region = "eu-central-1a"
    # Labels must say who pays.
    labels = { owner = "data", environment = "test" }
    # A name must fit.
    name = "isopach-of-a-very-large-organisation"
  }
  expect_failures = [var.approvers, var.account, var.region, var.labels, var.name]
}
