# One role for each thing that acts. What it may do is beside what it does it to, in the other modules.
locals {
  services = {
    launcher  = "ecs-tasks.amazonaws.com"
    execution = "ecs-tasks.amazonaws.com"
    spark     = "emr-serverless.amazonaws.com"
    workflow  = "states.amazonaws.com"
    scheduler = "scheduler.amazonaws.com"
  }
}

resource "aws_iam_role" "this" {
  for_each = local.services
  name     = "${var.name}-${each.key}"
  tags     = var.labels
  # Services act for this account alone.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = each.value }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}
