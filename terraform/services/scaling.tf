# How many web tasks.
#
# Scaling is suspended until the first release: before, a task has nothing to run. The release that
# starts the service resumes it and sets the bounds, in one call (RegisterScalableTarget), and so
# does every later one. Terraform looks at neither again: the schedule below moves the bounds, and
# a plan would move them back in the middle of the day.

resource "aws_appautoscaling_target" "web" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${local.cluster.cluster_name}/${aws_ecs_service.web.name}"
  min_capacity       = var.web.tasks.min
  max_capacity       = var.web.tasks.max

  suspended_state {
    dynamic_scaling_in_suspended  = true
    dynamic_scaling_out_suspended = true
    scheduled_scaling_suspended   = true
  }

  lifecycle {
    ignore_changes = [suspended_state, min_capacity, max_capacity]
  }
}

locals {
  web_scale = {
    for name, policy in {
      cpu      = { metric = "ECSServiceAverageCPUUtilization", target = var.web.scale.cpu, label = null }
      requests = { metric = "ALBRequestCountPerTarget", target = var.web.scale.requests, label = "${local.cluster.balancer_arn_suffix}/${local.cluster.target_group_arn_suffix}" }
    } : name => policy if policy.target > 0
  }
}

# All policies hold at once: whichever wants more tasks gets them.
resource "aws_appautoscaling_policy" "web" {
  for_each = local.web_scale

  name               = "${var.name}-web-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.web.service_namespace
  scalable_dimension = aws_appautoscaling_target.web.scalable_dimension
  resource_id        = aws_appautoscaling_target.web.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target
    scale_out_cooldown = 60
    scale_in_cooldown  = 300 # a task that goes takes its OPcache along

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
      resource_label         = each.value.label
    }
  }
}

# By the clock: the bounds change, and dynamic scaling goes on between them.
resource "aws_appautoscaling_scheduled_action" "web" {
  for_each = { for i, action in var.web.schedule : tostring(i + 1) => action }

  name               = "${var.name}-web-${each.key}"
  service_namespace  = aws_appautoscaling_target.web.service_namespace
  scalable_dimension = aws_appautoscaling_target.web.scalable_dimension
  resource_id        = aws_appautoscaling_target.web.resource_id
  schedule           = each.value.cron
  timezone           = "UTC"

  scalable_target_action {
    min_capacity = each.value.tasks.min
    max_capacity = each.value.tasks.max
  }
}
