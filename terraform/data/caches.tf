# Two stores, apart from each other: a cache that is flushed logs nobody out.
#
# No token stands here: the provider has no write-only argument for it, and it would be in the
# state. Platen sets it through the API once a group stands, and Terraform leaves it alone.

locals {
  cache_version = { valkey = "8.0", redis = "7.1" }
  cache_family  = { valkey = "valkey8", redis = "redis7" }

  # Which classes replica autoscaling takes; the same list as the variable's.
  objects_scale = can(regex("^cache\\.(r5|r6g|r6gd|r7g|m5|m6g|m7g|c7gn)\\.(large|xlarge|2xlarge)$", var.objects.class))
}

resource "aws_elasticache_subnet_group" "caches" {
  name        = "${var.name}-caches"
  description = "Session store and object cache"
  subnet_ids  = local.shared.database_subnet_ids
}

# Sessions: not in cluster mode, since php's session lock does not work there. Nothing is ever
# evicted; a full store refuses instead, and an alarm tells long before.
resource "aws_elasticache_parameter_group" "sessions" {
  name        = "${var.name}-sessions-${local.cache_family[var.sessions.engine]}"
  family      = local.cache_family[var.sessions.engine]
  description = "Session store: nothing is evicted"

  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
  # php keeps its connections; those of tasks that are gone end after ten minutes.
  parameter {
    name  = "timeout"
    value = "600"
  }

  # Another engine has another group, and the store leaves this one first.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_replication_group" "sessions" {
  replication_group_id = "${var.name}-sessions"
  description          = "PHP sessions of ${var.name}"
  engine               = var.sessions.engine
  engine_version       = local.cache_version[var.sessions.engine]
  node_type            = var.sessions.class
  port                 = 6379
  parameter_group_name = aws_elasticache_parameter_group.sessions.name

  num_cache_clusters         = 1 + var.sessions.replicas
  automatic_failover_enabled = var.sessions.replicas > 0
  multi_az_enabled           = var.sessions.replicas > 0

  subnet_group_name          = aws_elasticache_subnet_group.caches.name
  security_group_ids         = [local.shared.security_group_ids["sessions"]]
  at_rest_encryption_enabled = true
  kms_key_id                 = local.shared.key_arns["data"]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  # A day's snapshot: people stay logged in even when both nodes are lost.
  snapshot_retention_limit = 1
  snapshot_window          = "01:00-02:00"
  maintenance_window       = "sun:05:00-sun:06:00"
  apply_immediately        = true

  lifecycle {
    ignore_changes = [auth_token, auth_token_update_strategy] # set by Platen
  }
}

# Objects: in cluster mode with one shard, because replicas are autoscaled in that mode only.
resource "aws_elasticache_parameter_group" "objects" {
  name        = "${var.name}-objects-${local.cache_family[var.objects.engine]}"
  family      = local.cache_family[var.objects.engine]
  description = "Object cache: the least recently used goes"

  parameter {
    name  = "cluster-enabled"
    value = "yes"
  }
  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }
  parameter {
    name  = "timeout"
    value = "600"
  }

  # Another engine has another group, and the store leaves this one first.
  lifecycle {
    create_before_destroy = true
  }
}

# Which of the two stands is a matter of the class: where autoscaling can hold the number of
# replicas it is autoscaling's, else this file's, and a lifecycle cannot depend on a variable.
# A change between the two replaces a cache that may be lost.
resource "aws_elasticache_replication_group" "objects" {
  for_each = local.objects_scale ? toset([]) : toset(["objects"])

  replication_group_id = "${var.name}-objects"
  description          = "Object cache of ${var.name}"
  engine               = var.objects.engine
  engine_version       = local.cache_version[var.objects.engine]
  node_type            = var.objects.class
  port                 = 6379
  parameter_group_name = aws_elasticache_parameter_group.objects.name

  num_node_groups            = 1
  replicas_per_node_group    = var.objects.replicas.min
  automatic_failover_enabled = true # cluster mode asks for it
  multi_az_enabled           = var.objects.replicas.min > 0

  subnet_group_name          = aws_elasticache_subnet_group.caches.name
  security_group_ids         = [local.shared.security_group_ids["objects"]]
  at_rest_encryption_enabled = true
  kms_key_id                 = local.shared.key_arns["data"]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  snapshot_retention_limit = 0 #tfsec:ignore:aws-elasticache-enable-backup-retention A cache fills again.
  maintenance_window       = "sun:06:00-sun:07:00"
  apply_immediately        = true

  lifecycle {
    ignore_changes = [auth_token, auth_token_update_strategy] # set by Platen
  }
}

resource "aws_elasticache_replication_group" "objects_scaled" {
  for_each = local.objects_scale ? toset(["objects"]) : toset([])

  # Another name: when the class changes sides, the old group may still be going.
  replication_group_id = "${var.name}-objects-s"
  description          = "Object cache of ${var.name}"
  engine               = var.objects.engine
  engine_version       = local.cache_version[var.objects.engine]
  node_type            = var.objects.class
  port                 = 6379
  parameter_group_name = aws_elasticache_parameter_group.objects.name

  num_node_groups            = 1
  replicas_per_node_group    = var.objects.replicas.min
  automatic_failover_enabled = true
  multi_az_enabled           = var.objects.replicas.min > 0

  subnet_group_name          = aws_elasticache_subnet_group.caches.name
  security_group_ids         = [local.shared.security_group_ids["objects"]]
  at_rest_encryption_enabled = true
  kms_key_id                 = local.shared.key_arns["data"]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  snapshot_retention_limit = 0 #tfsec:ignore:aws-elasticache-enable-backup-retention A cache fills again.
  maintenance_window       = "sun:06:00-sun:07:00"
  apply_immediately        = true

  lifecycle {
    ignore_changes = [auth_token, auth_token_update_strategy, replicas_per_node_group]
  }
}

# Holds the number of replicas also where the bounds are equal.
resource "aws_appautoscaling_target" "objects" {
  for_each = aws_elasticache_replication_group.objects_scaled

  service_namespace  = "elasticache"
  scalable_dimension = "elasticache:replication-group:Replicas"
  resource_id        = "replication-group/${each.value.replication_group_id}"
  min_capacity       = var.objects.replicas.min
  max_capacity       = var.objects.replicas.max
}

resource "aws_appautoscaling_policy" "objects" {
  for_each = aws_appautoscaling_target.objects

  name               = "${var.name}-objects-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = 60 # percent of the engine's one thread; above it answers get slow

    predefined_metric_specification {
      predefined_metric_type = "ElastiCacheReplicaEngineCPUUtilization"
    }
  }
}
