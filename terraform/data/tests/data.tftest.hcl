# Database, caches, share, secrets and backups, without AWS: terraform test.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_rds_cluster" {
    defaults = { master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master", kms_key_id = "key", secret_status = "active" }] }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-0123456789abcdef0" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/blog" }
  }
}
mock_provider "aws" {
  alias = "copies"
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-central-1:123456789012:backup-vault:blog-copies" }
  }
}

override_data {
  target = data.terraform_remote_state.shared
  values = {
    outputs = {
      zones               = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
      private_subnet_ids  = ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
      database_subnet_ids = ["subnet-database-a", "subnet-database-b", "subnet-database-c"]
      security_group_ids  = { database = "sg-database", sessions = "sg-sessions", objects = "sg-objects", files = "sg-files" }
      key_arns = {
        data       = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde0"
        media      = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde1"
        secrets    = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde2"
        operations = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde3"
      }
      copy_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde4"
    }
  }
}

variables {
  account     = "123456789012"
  region      = "eu-west-1"
  site        = "blog"
  environment = "dev"
  name        = "blog-dev"
  tags        = { Creator = "web-team" }
  state       = { bucket = "state", region = "eu-west-1" }
  log_days    = 3
  media       = "shared"
  database = {
    class    = "db.serverless"
    capacity = { min = 0.5, max = 4 }
    readers  = { min = 1, max = 2 }
    scale    = { cpu = 60, connections = 60 }
  }
  sessions = { engine = "valkey", class = "cache.t4g.micro", replicas = 1 }
  objects  = { engine = "valkey", class = "cache.t4g.micro", replicas = { min = 1, max = 1 } }
  backups  = { every = 24, keep = { hourly = 0, daily = 7, weekly = 4, monthly = 0 }, copy_to = "" }
}

run "dev" {
  command = plan

  assert {
    condition     = aws_rds_cluster.database.serverlessv2_scaling_configuration[0].max_capacity == 4 && alltrue([for member in aws_rds_cluster_instance.database : member.instance_class == "db.serverless"])
    error_message = "The database is not serverless."
  }
  assert {
    condition     = length(distinct([for member in aws_rds_cluster_instance.database : member.availability_zone])) == 2
    error_message = "Writer and reader share a zone."
  }
  assert {
    condition     = aws_rds_cluster.database.storage_encrypted && aws_rds_cluster.database.deletion_protection && !aws_rds_cluster.database.skip_final_snapshot && aws_rds_cluster.database.manage_master_user_password
    error_message = "The database is in plain, unprotected, leaves without a snapshot, or has a password in the state."
  }
  assert {
    condition     = one([for parameter in aws_rds_cluster_parameter_group.database.parameter : parameter.value if parameter.name == "require_secure_transport"]) == "ON"
    error_message = "The database talks in plain."
  }
  assert {
    condition     = aws_rds_cluster.database.enabled_cloudwatch_logs_exports == toset(["audit", "error", "slowquery"])
    error_message = "A log of the database is missing."
  }
  assert {
    condition     = aws_appautoscaling_target.readers["readers"].min_capacity == 1 && aws_appautoscaling_target.readers["readers"].max_capacity == 2
    error_message = "Readers are not scaled from 1 to 2."
  }
  assert {
    condition     = toset([for policy in aws_appautoscaling_policy.readers : policy.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type]) == toset(["RDSReaderAverageCPUUtilization", "RDSReaderAverageDatabaseConnections"])
    error_message = "Readers do not follow both CPU and connections."
  }
  assert {
    condition     = aws_appautoscaling_policy.readers["connections"].target_tracking_scaling_policy_configuration[0].target_value == 60
    error_message = "The number of connections is wired to something else."
  }
  assert {
    condition     = one([for parameter in aws_elasticache_parameter_group.sessions.parameter : parameter.value if parameter.name == "maxmemory-policy"]) == "noeviction"
    error_message = "Sessions can be evicted."
  }
  assert {
    condition     = aws_elasticache_replication_group.sessions.num_cache_clusters == 2 && aws_elasticache_replication_group.sessions.multi_az_enabled && aws_elasticache_replication_group.sessions.automatic_failover_enabled
    error_message = "The session store does not survive a zone."
  }
  assert {
    condition     = length(aws_elasticache_replication_group.objects_scaled) == 0 && length(aws_appautoscaling_target.objects) == 0
    error_message = "A T class cannot be autoscaled."
  }
  assert {
    condition     = alltrue([for group in concat([aws_elasticache_replication_group.sessions], values(aws_elasticache_replication_group.objects)) : group.transit_encryption_enabled && group.transit_encryption_mode == "required" && tobool(group.at_rest_encryption_enabled)])
    error_message = "A cache talks or keeps in plain."
  }
  assert {
    condition     = aws_efs_file_system.content.encrypted && aws_efs_file_system.content.throughput_mode == "elastic" && length(aws_efs_mount_target.content) == 3
    error_message = "The share is in plain, bursts, or is missing in a zone."
  }
  assert {
    condition     = aws_efs_access_point.content.posix_user[0].uid == 33 && aws_efs_access_point.content.posix_user[0].gid == 33
    error_message = "The share's files do not belong to www-data."
  }
  assert {
    condition     = length(aws_s3_bucket.media) == 0 && output.media.bucket == ""
    error_message = "There is a bucket for media that are on the share."
  }
  assert {
    condition     = toset([for rule in aws_backup_plan.this.rule : rule.rule_name if length(rule.copy_action) == 0]) == toset(["daily", "weekly"])
    error_message = "Backups are not daily and weekly, without copies."
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : startswith(secret.name_prefix, "blog-dev/")]) && length(aws_secretsmanager_secret.this) == 7
    error_message = "A secret's name would be held by a deleted one."
  }
}

run "prod" {
  command = plan

  variables {
    environment = "prod"
    name        = "blog-prod"
    media       = "s3"
    database = {
      class    = "db.r6g.large"
      capacity = { min = 0.5, max = 1 }
      readers  = { min = 2, max = 3 }
      scale    = { cpu = 0, connections = 700 }
    }
    sessions = { engine = "redis", class = "cache.t4g.small", replicas = 1 }
    objects  = { engine = "valkey", class = "cache.r7g.large", replicas = { min = 1, max = 3 } }
    backups  = { every = 2, keep = { hourly = 24, daily = 7, weekly = 4, monthly = 12 }, copy_to = "eu-central-1" }
  }

  assert {
    condition     = length(aws_rds_cluster.database.serverlessv2_scaling_configuration) == 0 && length(aws_rds_cluster_instance.database) == 3 && length(distinct([for member in aws_rds_cluster_instance.database : member.availability_zone])) == 3
    error_message = "Want a writer and two readers in three zones."
  }
  assert {
    condition     = alltrue([for member in aws_rds_cluster_instance.database : member.performance_insights_enabled && member.monitoring_interval == 60])
    error_message = "Nobody sees into the database."
  }
  assert {
    condition     = keys(aws_appautoscaling_policy.readers) == ["connections"]
    error_message = "What is 0 is not followed."
  }
  assert {
    condition     = aws_elasticache_parameter_group.sessions.family == "redis7" && aws_elasticache_replication_group.sessions.engine == "redis"
    error_message = "The session store is not Redis."
  }
  assert {
    condition     = length(aws_elasticache_replication_group.objects) == 0 && aws_elasticache_replication_group.objects_scaled["objects"].num_node_groups == 1 && aws_appautoscaling_target.objects["objects"].max_capacity == 3
    error_message = "The object cache is not one shard whose replicas are scaled."
  }
  assert {
    condition     = one([for parameter in aws_elasticache_parameter_group.objects.parameter : parameter.value if parameter.name == "cluster-enabled"]) == "yes"
    error_message = "Replica autoscaling needs cluster mode."
  }
  assert {
    condition     = keys(aws_backup_vault.copies) == ["copies"] && alltrue([for rule in aws_backup_plan.this.rule : length(rule.copy_action) == 1]) && toset(keys(local.backup_rules)) == toset(["hourly", "daily", "weekly", "monthly"])
    error_message = "A backup has no copy in the second region."
  }
  assert {
    condition     = local.backup_rules["hourly"].days == 2 && local.backup_rules["hourly"].cron == "cron(15 0/2 * * ? *)"
    error_message = "24 backups, one every 2 hours, are two days."
  }
  assert {
    condition     = aws_s3_bucket_versioning.media["media"].versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.media["media"].force_destroy
    error_message = "A picture can be lost by a mistake."
  }
  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.media : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "The bucket of media can be made public."
  }
}

# Copies that are there keep their vault, in their region.
run "no_more_copies" {
  command = plan
  variables {
    backups = { every = 24, keep = { hourly = 0, daily = 7, weekly = 4, monthly = 0 }, copy_to = "eu-central-1", copy = false }
  }

  assert {
    condition     = keys(aws_backup_vault.copies) == ["copies"] && alltrue([for rule in aws_backup_plan.this.rule : length(rule.copy_action) == 0])
    error_message = "The vault goes with copies in it, or more are made."
  }
}

run "refuses" {
  command = plan
  variables {
    # A T class cannot be autoscaled; readers must follow something; something must be kept.
    objects  = { engine = "valkey", class = "cache.t4g.micro", replicas = { min = 1, max = 2 } }
    database = { class = "db.r6g.large", capacity = { min = 1, max = 1 }, readers = { min = 1, max = 2 }, scale = { cpu = 0, connections = 0 } }
    backups  = { every = 5, keep = { hourly = 0, daily = 0, weekly = 0, monthly = 0 }, copy_to = "eu-west-1" }
    sessions = { engine = "memcached", class = "cache.t4g.micro", replicas = 1 }
  }
  expect_failures = [var.objects, var.database, var.backups, var.sessions]
}
