locals {
  cpu = { "4" = 1024, "8" = 2048, "16" = 4096, "30" = 4096 }
  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.isopach.name
      awslogs-region        = var.region
      awslogs-stream-prefix = "isopach"
    }
  }
  environment = [
    { name = "AWS_REGION", value = var.region },
    { name = "ISOPACH_LAKE", value = var.lake },
  ]
  # Settings with secrets are a file for as long as the container lives, and in no argument.
  settings = "umask 077; printf '%s' \"$KAFKA_SETTINGS\" > /tmp/kafka.properties; exec \"$@\""
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.labels
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "isopach" {
  name              = "/${var.name}/isopach"
  retention_in_days = 365
  kms_key_id        = var.kms_key
  tags              = var.labels
}

# The command: nights, approvals and status are all started as this task with other arguments.
resource "aws_ecs_task_definition" "isopach" {
  #checkov:skip=CKV_AWS_336:Nights spill to their disk, which is gone with the container when the command ends
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.cpu[tostring(var.memory)]
  memory                   = var.memory * 1024
  task_role_arn            = var.roles.launcher
  execution_role_arn       = var.roles.execution
  tags                     = var.labels
  ephemeral_storage {
    size_in_gib = 100
  }
  container_definitions = jsonencode([{
    name             = "isopach"
    image            = var.image
    essential        = true
    entryPoint       = ["timeout"]
    command          = ["60", "isopach", "--help"]
    environment      = local.environment
    logConfiguration = local.log
    linuxParameters  = { initProcessEnabled = true }
  }])
}

resource "aws_ecs_task_definition" "stream" {
  #checkov:skip=CKV_AWS_336:Settings with secrets are a file for as long as the container lives
  for_each                 = var.streams
  family                   = "${var.name}-stream-${replace(each.key, "_", "-")}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.cpu[tostring(var.memory)]
  memory                   = var.memory * 1024
  task_role_arn            = var.roles.launcher
  execution_role_arn       = var.roles.execution
  tags                     = merge(var.labels, { feed = each.key })
  container_definitions = jsonencode([{
    name       = "isopach"
    image      = var.image
    essential  = true
    entryPoint = ["sh", "-c", local.settings, "sh"]
    command = [
      "isopach", "stream", each.key, "--source", "kafka:${each.value.brokers}/${each.key}",
      "--source-settings", "/tmp/kafka.properties", "--lake", var.lake,
      "--cadence", each.value.cadence, "--every", var.every, "--log", "json",
    ]
    environment      = local.environment
    secrets          = [{ name = "KAFKA_SETTINGS", valueFrom = "${each.value.secret}:settings::" }]
    logConfiguration = local.log
    # Ctrl-C: what was read is landed before it ends.
    linuxParameters = { initProcessEnabled = true }
    stopTimeout     = 120
  }])
}

# One of each: a second one loses every race for a commit, and starts over.
resource "aws_ecs_service" "stream" {
  for_each                           = var.streams
  name                               = aws_ecs_task_definition.stream[each.key].family
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.stream[each.key].arn
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  desired_count                      = 1
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  propagate_tags                     = "TASK_DEFINITION"
  tags                               = merge(var.labels, { feed = each.key })
  network_configuration {
    subnets          = aws_subnet.this[*].id
    security_groups  = [aws_security_group.isopach.id]
    assign_public_ip = false
  }
}
