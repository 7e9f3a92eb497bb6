# Whoever approves answers nights that wait: people's roles get this policy.
resource "aws_iam_policy" "approve" {
  name = "${var.name}-approve"
  tags = var.labels
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Approve"
      Effect   = "Allow"
      Action   = ["states:SendTaskSuccess", "states:SendTaskFailure"]
      Resource = "arn:aws:states:${var.region}:${var.account}:stateMachine:${var.name}-night"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "approvers" {
  for_each   = var.approvers
  role       = each.value
  policy_arn = "arn:aws:iam::${var.account}:policy/${aws_iam_policy.approve.name}"
}
