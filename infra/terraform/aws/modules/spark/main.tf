resource "aws_emrserverless_application" "this" {
  name          = var.name
  release_label = "emr-7.2.0"
  type          = "spark"
  architecture  = "X86_64"
  tags          = var.labels

  image_configuration {
    image_uri = var.image
  }

  maximum_capacity {
    cpu    = "${var.max_vcpus} vCPU"
    memory = "${var.max_vcpus * 4} GB"
  }

  auto_stop_configuration {
    enabled              = true
    idle_timeout_minutes = 15
  }

  network_configuration {
    subnet_ids         = var.subnets
    security_group_ids = [var.security_group]
  }
}

locals {
  # A job for each table. It joins files and sorts; what may be deleted is known to
  # `isopach maintain` alone.
  jobs = [
    for name, table in var.tables : {
      table = name
      args  = concat(["--table", replace(table.path, "s3://", "s3a://")], length(table.z_order) > 0 ? ["--z-order", join(",", table.z_order)] : [])
    }
  ]
}

resource "aws_cloudwatch_log_group" "maintain" {
  name              = "/${var.name}/maintain"
  retention_in_days = 365
  kms_key_id        = var.kms_key
  tags              = var.labels
}

resource "aws_sfn_state_machine" "maintain" {
  name     = "${var.name}-maintain"
  role_arn = var.roles.workflow
  tags     = var.labels

  encryption_configuration {
    type                              = "CUSTOMER_MANAGED_KMS_KEY"
    kms_key_id                        = var.kms_key
    kms_data_key_reuse_period_seconds = 900
  }

  tracing_configuration {
    enabled = true
  }

  logging_configuration {
    log_destination        = "arn:aws:logs:${var.region}:${var.account}:log-group:${aws_cloudwatch_log_group.maintain.name}:*"
    level                  = "ERROR"
    include_execution_data = true
  }

  definition = jsonencode({
    Comment       = "Joins and sorts the files of tables, one job after the other"
    QueryLanguage = "JSONata"
    StartAt       = "Tables"
    States = {
      Tables = {
        Type           = "Map"
        Items          = local.jobs
        MaxConcurrency = 1
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "Maintain"
          States = {
            Maintain = {
              Type           = "Task"
              Resource       = "arn:aws:states:::emr-serverless:startJobRun.sync"
              TimeoutSeconds = 21600
              Arguments = {
                ApplicationId    = aws_emrserverless_application.this.id
                ExecutionRoleArn = var.roles.spark
                Name             = "{% $states.input.table %}"
                JobDriver = {
                  SparkSubmit = {
                    EntryPoint          = "local:///isopach/jobs/spark/maintain.py"
                    EntryPointArguments = "{% $states.input.args %}"
                  }
                }
              }
              End = true
            }
          }
        }
        End = true
      }
    }
  })
}

resource "aws_scheduler_schedule" "maintain" {
  name                         = "${var.name}-maintain"
  schedule_expression          = var.schedule
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.kms_key
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = local.machine
    role_arn = var.roles.scheduler
  }
}
