locals {
  pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
}

# EMR pulls by itself, for applications of this account.
resource "aws_ecr_repository_policy" "spark" {
  repository = aws_ecr_repository.this["isopach-spark"].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Emr"
      Effect    = "Allow"
      Principal = { Service = "emr-serverless.amazonaws.com" }
      Action    = concat(local.pull, ["ecr:DescribeImages"])
      Condition = { StringLike = { "aws:SourceArn" = "arn:aws:emr-serverless:${var.region}:${var.account}:/applications/*" } }
    }]
  })
}

resource "aws_iam_role_policy" "pullers" {
  for_each = var.pullers
  name     = "images"
  role     = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Images"
        Effect   = "Allow"
        Action   = local.pull
        Resource = ["arn:aws:ecr:${var.region}:${var.account}:repository/${aws_ecr_repository.this["isopach"].name}"]
      },
      {
        # The service knows no smaller resource for this one.
        Sid      = "ImagesLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
    ]
  })
}
