# The ECS cluster, and the capacity provider that gives it instances.
#
# References make the order of a destroy that needs no person: association, capacity provider,
# group, cluster. (By hand it hangs: terraform-provider-aws#18849, #11409, #14393.)

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  # Made first and destroyed last: ECS would make the group itself, to be kept for ever.
  depends_on = [aws_cloudwatch_log_group.insights]
}

resource "aws_cloudwatch_log_group" "insights" {
  name              = "/aws/ecs/containerinsights/${var.name}/performance"
  retention_in_days = var.log_days
  kms_key_id        = local.shared.key_arns["operations"]
}

resource "aws_ecs_capacity_provider" "hosts" {
  name = "${var.name}-hosts"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.hosts.arn
    managed_termination_protection = "ENABLED" # an instance with tasks on it is not scaled in
    managed_draining               = "ENABLED" # one that must go moves its tasks first

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = var.hosts.fill
      minimum_scaling_step_size = var.hosts.step.min
      maximum_scaling_step_size = var.hosts.step.max
      # From the launch of an instance until it carries tasks; until then it counts as coming.
      instance_warmup_period = 120
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = [aws_ecs_capacity_provider.hosts.name]

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.hosts.name
    weight            = 100
  }
}
