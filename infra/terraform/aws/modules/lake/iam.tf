locals {
  arns = { for key in keys(local.buckets) : key => "arn:aws:s3:::${var.name}-${key}-${var.account}" }

  key_policy = {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.region}:${var.account}:log-group:/${var.name}/*" } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
      ], [for statement in [{
        Sid       = "Deliveries"
        Effect    = "Allow"
        Principal = { AWS = sort(tolist(var.senders)) }
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = "*"
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
    }] : statement if length(var.senders) > 0])
  }
}

# Nobody without TLS; and sites deliver, and neither read nor change what others sent.
resource "aws_s3_bucket_policy" "this" {
  for_each   = local.buckets
  bucket     = aws_s3_bucket.this[each.key].bucket
  depends_on = [aws_s3_bucket_public_access_block.this]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.arns[each.key], "${local.arns[each.key]}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], [for statement in [{
        Sid       = "Deliveries"
        Effect    = "Allow"
        Principal = { AWS = sort(tolist(var.senders)) }
        Action    = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource  = ["${local.arns["landing"]}/*"]
    }] : statement if each.key == "landing" && length(var.senders) > 0])
  })
}

resource "aws_iam_role_policy" "writers" {
  for_each = var.writers
  name     = "lake"
  role     = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Lake"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = ["${local.arns["lake"]}/*", "${local.arns["temp"]}/*"]
      },
      {
        Sid      = "LakeList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.arns["lake"], local.arns["temp"]]
      },
      {
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = ["arn:aws:kms:${var.region}:${var.account}:key/*"]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }, "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = aws_kms_alias.this.name } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "readers" {
  for_each = var.readers
  name     = "landing"
  role     = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Landing"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.arns["landing"]}/*"]
      },
      {
        Sid      = "LandingList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.arns["landing"]]
      },
    ]
  })
}
