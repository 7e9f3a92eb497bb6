locals {
  machine = "arn:aws:states:${var.region}:${var.account}:stateMachine:${aws_sfn_state_machine.night.name}"
  ecs     = "arn:aws:ecs:${var.region}:${var.account}"
}

resource "aws_iam_role_policy" "workflow" {
  name = "night"
  role = var.role_names.workflow
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Command"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = ["${local.ecs}:task-definition/${var.family}:*"]
        Condition = { ArnEquals = { "ecs:cluster" = var.cluster } }
      },
      {
        Sid       = "CommandFollow"
        Effect    = "Allow"
        Action    = ["ecs:DescribeTasks", "ecs:StopTask"]
        Resource  = ["${local.ecs}:task/${var.name}/*"]
        Condition = { ArnEquals = { "ecs:cluster" = var.cluster } }
      },
      {
        # A task has its definition's tags: they say whose costs these are.
        Sid       = "CommandTags"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = ["${local.ecs}:task/${var.name}/*"]
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "ActAsLauncher"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [var.roles.launcher, var.roles.execution]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        # Step Functions learns by this rule of its own that a task has ended.
        Sid      = "CommandEnds"
        Effect   = "Allow"
        Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = ["arn:aws:events:${var.region}:${var.account}:rule/StepFunctionsGetEventsForECSTaskRule"]
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [var.topic]
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.kms_key]
      },
      {
        # The service knows no smaller resource for deliveries of logs, and for traces.
        Sid    = "Logs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
          "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
          "xray:PutTraceSegments", "xray:PutTelemetryRecords",
        ]
        Resource = ["*"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "night"
  role = var.role_names.scheduler
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Night"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = [local.machine]
      },
      {
        Sid      = "NightKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.kms_key]
      },
    ]
  })
}
