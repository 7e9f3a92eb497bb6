locals {
  machine      = "arn:aws:states:${var.region}:${var.account}:stateMachine:${aws_sfn_state_machine.maintain.name}"
  applications = "arn:aws:emr-serverless:${var.region}:${var.account}:/applications/*"
}

resource "aws_iam_role_policy" "workflow" {
  name = "maintain"
  role = var.role_names.workflow
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Jobs"
        Effect    = "Allow"
        Action    = ["emr-serverless:StartJobRun"]
        Resource  = [local.applications]
        Condition = { StringEquals = { "aws:ResourceTag/environment" = var.labels.environment } }
      },
      {
        Sid      = "JobsFollow"
        Effect   = "Allow"
        Action   = ["emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"]
        Resource = ["${local.applications}/jobruns/*"]
      },
      {
        Sid       = "ActAsSpark"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [var.roles.spark]
        Condition = { StringEquals = { "iam:PassedToService" = "emr-serverless.amazonaws.com" } }
      },
      {
        # Step Functions learns by this rule of its own that a job has ended.
        Sid      = "JobsEnd"
        Effect   = "Allow"
        Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = ["arn:aws:events:${var.region}:${var.account}:rule/StepFunctionsGetEventsForEMRServerlessJobRule"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "maintain"
  role = var.role_names.scheduler
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Maintain"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [local.machine]
    }]
  })
}
