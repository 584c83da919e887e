locals {
  # One of the two stands. By attribute, since a group's token, which it never has, is sensitive.
  objects_id      = join("", concat(values(aws_elasticache_replication_group.objects)[*].replication_group_id, values(aws_elasticache_replication_group.objects_scaled)[*].replication_group_id))
  objects_address = join("", concat(values(aws_elasticache_replication_group.objects)[*].configuration_endpoint_address, values(aws_elasticache_replication_group.objects_scaled)[*].configuration_endpoint_address))
}

output "database" {
  description = "Aurora: its identifier, where to write and to read, WordPress' database and user, the master's secret, and the name of the snapshot that a destroy makes."
  value = {
    cluster           = aws_rds_cluster.database.cluster_identifier
    writer            = "${aws_rds_cluster.database.endpoint}:3306"
    reader            = "${aws_rds_cluster.database.reader_endpoint}:3306"
    name              = aws_rds_cluster.database.database_name
    user              = "wordpress"
    master_secret_arn = aws_rds_cluster.database.master_user_secret[0].secret_arn
    final_snapshot    = aws_rds_cluster.database.final_snapshot_identifier
  }
  depends_on = [aws_rds_cluster_instance.database] # a cluster without instances answers nobody
}

output "sessions" {
  description = "The session store: its identifier, where it answers, and its nodes at the start."
  value = {
    id      = aws_elasticache_replication_group.sessions.replication_group_id
    address = "${aws_elasticache_replication_group.sessions.primary_endpoint_address}:6379"
    nodes   = [for i in range(1 + var.sessions.replicas) : format("%s-%03d", aws_elasticache_replication_group.sessions.replication_group_id, i + 1)]
  }
}

output "objects" {
  description = "The object cache, in cluster mode: its identifier, where it answers, and its nodes at the start."
  value = {
    id      = local.objects_id
    address = "${local.objects_address}:6379"
    nodes   = [for i in range(1 + var.objects.replicas.min) : format("%s-0001-%03d", local.objects_id, i + 1)]
  }
}

output "secret_arns" {
  description = "Entries of Secrets Manager, by the name that tasks know."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "files" {
  description = "The share and the way into it."
  value = {
    id               = aws_efs_file_system.content.id
    arn              = aws_efs_file_system.content.arn
    access_point_id  = aws_efs_access_point.content.id
    access_point_arn = aws_efs_access_point.content.arn
  }
  # A task that mounts in a zone without a mount target does not start.
  depends_on = [aws_efs_mount_target.content, aws_efs_file_system_policy.content]
}

output "media" {
  description = "The bucket of media; empty where they are on the share."
  value = {
    bucket = join("", [for bucket in aws_s3_bucket.media : bucket.bucket])
    arn    = join("", [for bucket in aws_s3_bucket.media : bucket.arn])
    domain = join("", [for bucket in aws_s3_bucket.media : bucket.bucket_regional_domain_name])
  }
}

output "vault" {
  description = "The backup vault."
  value       = aws_backup_vault.this.name
}

output "copy_vault" {
  description = "The vault in the second region; empty without one."
  value       = join("", [for vault in aws_backup_vault.copies : vault.name])
}
