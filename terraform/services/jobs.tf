# Jobs: one-off tasks of the jobs image, and one that stays for cron.
#
# Cron is a service of one task and not a scheduled task: that would cost a start and a network
# interface each minute, and may run twice. A lease in the database keeps two from running the
# same event, should ECS have two for a moment.

locals {
  job = merge(local.hardened, {
    cpu    = floor(var.jobs.cpu * 1024)
    memory = floor(var.jobs.memory / local.mib)
    environment = [
      { name = "PLATEN_TASK", value = jsonencode(local.config) },
    ]
    image            = local.images["jobs"]
    logConfiguration = local.logging["jobs"]
    stopTimeout      = 120 # an event that began may end
    linuxParameters = {
      capabilities       = local.capabilities
      initProcessEnabled = false
      tmpfs = [
        { containerPath = "/tmp", size = 128, mountOptions = local.tmpfs },
        { containerPath = "/run/php", size = 16, mountOptions = local.tmpfs },
        { containerPath = "/run/task", size = 16, mountOptions = local.tmpfs },
      ]
    }
  })
}

resource "aws_ecs_task_definition" "jobs" {
  family                   = "${var.name}-jobs-template"
  network_mode             = "awsvpc"
  requires_compatibilities = ["EC2"]
  execution_role_arn       = aws_iam_role.execution["jobs"].arn
  task_role_arn            = aws_iam_role.task["jobs"].arn

  container_definitions = jsonencode([merge(local.job, {
    name        = "job"
    command     = ["cron"]
    secrets     = [for name in local.secrets["jobs"] : { name = upper(name), valueFrom = local.data.secret_arns[name] }]
    mountPoints = [{ sourceVolume = "content", containerPath = local.content_path, readOnly = false }]
  })])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(local.cluster.architecture)
  }

  volume {
    name = "content"
    efs_volume_configuration {
      file_system_id     = local.data.files.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = local.data.files.access_point_id
        iam             = "ENABLED"
      }
    }
  }
}

# Makes WordPress' own database user, and is the only one that ever sees the master's password.
resource "aws_ecs_task_definition" "init" {
  family                   = "${var.name}-init-template"
  network_mode             = "awsvpc"
  requires_compatibilities = ["EC2"]
  execution_role_arn       = aws_iam_role.execution["init"].arn

  container_definitions = jsonencode([merge(local.job, {
    name    = "job"
    command = ["database"]
    secrets = concat(
      [for name in local.secrets["init"] : { name = upper(name), valueFrom = local.data.secret_arns[name] }],
      [
        { name = "DB_MASTER_USER", valueFrom = "${local.data.database.master_secret_arn}:username::" },
        { name = "DB_MASTER_PASSWORD", valueFrom = "${local.data.database.master_secret_arn}:password::" },
      ],
    )
  })])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(local.cluster.architecture)
  }
}

resource "aws_ecs_service" "jobs" {
  name            = "${var.name}-jobs"
  cluster         = local.cluster.cluster_arn
  task_definition = aws_ecs_task_definition.jobs.arn

  desired_count         = 0 # one, from the first release on
  wait_for_steady_state = false

  # The old one stops before the new one starts: never two.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"
  enable_execute_command  = false

  capacity_provider_strategy {
    capacity_provider = local.cluster.capacity_provider
    weight            = 100
  }

  ordered_placement_strategy {
    type  = "binpack"
    field = "memory"
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = local.shared.private_subnet_ids
    security_groups  = [local.shared.security_group_ids["jobs"]]
    assign_public_ip = false
  }

  lifecycle {
    ignore_changes = [task_definition, desired_count]
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
