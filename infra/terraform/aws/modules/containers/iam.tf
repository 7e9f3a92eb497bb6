# What starts containers writes their logs, and reads the secrets of streams.
resource "aws_iam_role_policy" "execution" {
  name = "containers"
  role = var.execution_role
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:${var.region}:${var.account}:log-group:${aws_cloudwatch_log_group.isopach.name}:*"]
      }], [for statement in [
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = sort(distinct([for stream in values(var.streams) : stream.secret]))
      },
      {
        Sid       = "SecretsKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ] : statement if length(var.streams) > 0])
  })
}
