# The web task, nginx and php in one network namespace, and the service that runs it.

locals {
  # Two containers share this folder: nginx' configuration, which php's agent writes, the sockets
  # and the page cache. It is memory, and counts in the task's.
  shared_folder = {
    type   = "tmpfs"
    device = "tmpfs"
    o      = "size=${var.task.nginx.cache + 16 * local.mib},uid=33,gid=33,mode=0750,noexec,nosuid,nodev"
  }

  php = merge(local.hardened, {
    name             = "php"
    image            = local.images["wordpress"]
    command          = ["web"]
    cpu              = floor(var.web.php.cpu * 1024)
    memory           = floor(var.web.php.memory / local.mib)
    environment      = [{ name = "PLATEN_TASK", value = jsonencode(local.config) }]
    secrets          = [for name in local.secrets["web"] : { name = upper(name), valueFrom = local.data.secret_arns[name] }]
    logConfiguration = local.logging["php"]
    # A request may end after the drain, and php has ten seconds to leave.
    stopTimeout = var.task.drain + var.task.php.timeout + 10
    healthCheck = {
      command     = ["CMD", "/usr/bin/platen-agent", "health", "php"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
    mountPoints = [
      { sourceVolume = "task", containerPath = "/run/task", readOnly = false },
      { sourceVolume = "content", containerPath = local.content_path, readOnly = false },
    ]
    linuxParameters = {
      capabilities       = local.capabilities
      initProcessEnabled = false # the agent reaps
      tmpfs = [
        # An upload is here until WordPress moves it, several at a time.
        { containerPath = "/tmp", size = max(64, 2 * floor(var.task.php.upload / local.mib)), mountOptions = local.tmpfs },
        { containerPath = "/run/php", size = 16, mountOptions = local.tmpfs },
      ]
    }
  })

  nginx = merge(local.hardened, {
    name         = "nginx"
    image        = local.images["nginx"]
    cpu          = floor(var.web.nginx.cpu * 1024)
    memory       = floor(var.web.nginx.memory / local.mib)
    portMappings = [{ containerPort = 8080, hostPort = 8080, protocol = "tcp" }]
    # php's agent writes nginx' configuration. It also makes nginx stop first, and that is right:
    # the drain is over by then.
    dependsOn        = [{ containerName = "php", condition = "HEALTHY" }]
    logConfiguration = local.logging["nginx"]
    stopTimeout      = var.task.php.timeout + 10
    mountPoints = [
      { sourceVolume = "task", containerPath = "/run/task", readOnly = false },
      { sourceVolume = "content", containerPath = local.content_path, readOnly = true },
    ]
    linuxParameters = {
      capabilities       = local.capabilities
      initProcessEnabled = false
      # Holds an upload until it is whole.
      tmpfs = [{ containerPath = "/tmp", size = max(64, floor(var.task.php.upload / local.mib) + 16), mountOptions = local.tmpfs }]
    }
  })
}

resource "aws_ecs_task_definition" "web" {
  family                   = "${var.name}-web-template"
  network_mode             = "awsvpc"
  requires_compatibilities = ["EC2"]
  execution_role_arn       = aws_iam_role.execution["web"].arn
  task_role_arn            = aws_iam_role.task["web"].arn
  container_definitions    = jsonencode([local.php, local.nginx])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(local.cluster.architecture)
  }

  volume {
    name = "task"
    docker_volume_configuration {
      scope       = "task" # lives and dies with the task
      driver      = "local"
      driver_opts = local.shared_folder
    }
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

resource "aws_ecs_service" "web" {
  name            = "${var.name}-web"
  cluster         = local.cluster.cluster_arn
  task_definition = aws_ecs_task_definition.web.arn

  # None until the first release, which is made when the site is installed: an open installer on
  # a public address is a hole.
  desired_count         = 0
  wait_for_steady_state = false

  # ECS takes these of the tasks wanted at that time, the second rounded down. None may be missing,
  # so it must let the fewest that any bound allows have one more: less, and a deployment would
  # stand still there. Of more tasks it lets more be added; internal/capacity counts their network
  # interfaces, addresses and connections (topology.Deploying is this sum).
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 100 + ceil(100 / min(var.web.tasks.min, var.web.schedule[*].tasks.min...))

  # php and nginx are healthy after some 15 s; on an instance that has to come first this time
  # has not begun.
  health_check_grace_period_seconds = 90

  availability_zone_rebalancing = "ENABLED"
  enable_ecs_managed_tags       = true
  propagate_tags                = "SERVICE"
  enable_execute_command        = false # not on a read-only root, and there is no shell

  capacity_provider_strategy {
    capacity_provider = local.cluster.capacity_provider
    weight            = 100
  }

  # A zone may fail; within a zone, instances that are not needed may go.
  ordered_placement_strategy {
    type  = "spread"
    field = "attribute:ecs.availability-zone"
  }
  ordered_placement_strategy {
    type  = "binpack"
    field = "memory"
  }

  # Tasks that do not become healthy, and alarms: each ends a deployment and goes back.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  alarms {
    enable      = true
    rollback    = true
    alarm_names = [for name in ["errors", "latency", "unhealthy"] : "${var.name}-${name}"]
  }

  network_configuration {
    subnets          = local.shared.private_subnet_ids
    security_groups  = [local.shared.security_group_ids["web"]]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = local.cluster.target_group_arn
    container_name   = "nginx"
    container_port   = 8080
  }

  lifecycle {
    # A release's, and autoscaling's.
    ignore_changes = [task_definition, desired_count]
  }

  # Deployed tasks need their rights, and a destroy stops tasks before it takes these away.
  depends_on = [
    aws_cloudwatch_metric_alarm.this,
    aws_cloudwatch_metric_alarm.errors,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
  ]
}
