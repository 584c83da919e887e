# More readers when those there are have much to do. Terraform knows the lower bound only; what
# autoscaling adds it does not see, and `platen down` removes before a destroy, which they block.

locals {
  readers_scale = var.database.readers.min == var.database.readers.max ? {} : {
    for name, policy in {
      cpu         = { metric = "RDSReaderAverageCPUUtilization", target = var.database.scale.cpu }
      connections = { metric = "RDSReaderAverageDatabaseConnections", target = var.database.scale.connections }
    } : name => policy if policy.target > 0
  }
}

resource "aws_appautoscaling_target" "readers" {
  for_each = length(local.readers_scale) == 0 ? toset([]) : toset(["readers"])

  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = "cluster:${aws_rds_cluster.database.cluster_identifier}"
  min_capacity       = var.database.readers.min
  max_capacity       = var.database.readers.max

  depends_on = [aws_rds_cluster_instance.database] # else it would add readers beside those being made
}

# Both policies hold at once: whichever wants more readers gets them.
resource "aws_appautoscaling_policy" "readers" {
  for_each = local.readers_scale

  name               = "${var.name}-readers-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.readers["readers"].service_namespace
  scalable_dimension = aws_appautoscaling_target.readers["readers"].scalable_dimension
  resource_id        = aws_appautoscaling_target.readers["readers"].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target
    scale_out_cooldown = 300 # a reader takes minutes to come
    scale_in_cooldown  = 600

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
    }
  }
}
