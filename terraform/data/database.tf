# Aurora MySQL 3: a writer and readers in the other zones, on one storage in all three.

locals {
  # Member 1 is the writer at first; after a failover any may be.
  members = { for i in range(1 + var.database.readers.min) : tostring(i + 1) => local.shared.zones[i % 3] }

  serverless = var.database.class == "db.serverless"

  # AWS offers Performance Insights on none or only some of the T classes.
  insights = !startswith(var.database.class, "db.t")
}

resource "aws_db_subnet_group" "database" {
  name        = "${var.name}-database"
  description = "Aurora"
  subnet_ids  = local.shared.database_subnet_ids
}

resource "aws_rds_cluster_parameter_group" "database" {
  name_prefix = "${var.name}-database-"
  family      = "aurora-mysql8.0"
  description = "Aurora of ${var.name}"

  # Nobody speaks to it in plain.
  parameter {
    name  = "require_secure_transport"
    value = "ON"
  }
  # What a dump can bring to MariaDB and back.
  parameter {
    name  = "character_set_server"
    value = "utf8mb4"
  }
  parameter {
    name  = "collation_server"
    value = "utf8mb4_unicode_520_ci"
  }
  parameter {
    name  = "slow_query_log"
    value = "1"
  }
  parameter {
    name  = "long_query_time"
    value = "1"
  }
  # Who came and what changed the schema or the rights, not every query.
  parameter {
    name  = "server_audit_logging"
    value = "1"
  }
  parameter {
    name  = "server_audit_events"
    value = "CONNECT,QUERY_DCL,QUERY_DDL"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Aurora would make them itself, to be kept for ever.
resource "aws_cloudwatch_log_group" "database" {
  for_each = toset(["audit", "error", "slowquery"])

  name              = "/aws/rds/cluster/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = local.shared.key_arns["operations"]
}

# Gives the final snapshot a name that no earlier one of this environment has.
resource "terraform_data" "final_snapshot" {}

resource "aws_rds_cluster" "database" {
  cluster_identifier = var.name
  engine             = "aurora-mysql"
  engine_mode        = "provisioned" # serverless v2 is a class of its instances
  # Moved here and not by AWS on a night of its choice, so that dev has it before prod.
  engine_version = "8.0.mysql_aurora.3.08.2"
  database_name  = "wordpress"

  # The master's password is made, kept and rotated by AWS. WordPress has a user of its own, which
  # a job makes: a rotation would else cut off tasks that started before it.
  master_username               = "platen"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = local.shared.key_arns["secrets"]

  db_subnet_group_name            = aws_db_subnet_group.database.name
  vpc_security_group_ids          = [local.shared.security_group_ids["database"]]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.database.name
  port                            = 3306

  storage_encrypted = true
  kms_key_id        = local.shared.key_arns["data"]

  # Point in time within these days; AWS Backup keeps what is older.
  backup_retention_period      = min(35, max(1, var.backups.keep.daily))
  preferred_backup_window      = "02:00-03:00"
  preferred_maintenance_window = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot        = true

  # Lifted by `platen down`, after the environment's name was typed. The snapshot is made by the
  # destroy itself.
  deletion_protection       = true
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final-${substr(terraform_data.final_snapshot.id, 0, 8)}"

  enabled_cloudwatch_logs_exports = keys(aws_cloudwatch_log_group.database)

  dynamic "serverlessv2_scaling_configuration" {
    for_each = local.serverless ? [var.database.capacity] : []
    content {
      min_capacity = serverlessv2_scaling_configuration.value.min
      max_capacity = serverlessv2_scaling_configuration.value.max
    }
  }
}

resource "aws_rds_cluster_instance" "database" {
  for_each = local.members

  identifier         = "${var.name}-${each.key}"
  cluster_identifier = aws_rds_cluster.database.id
  engine             = aws_rds_cluster.database.engine
  engine_version     = aws_rds_cluster.database.engine_version
  instance_class     = var.database.class
  availability_zone  = each.value

  db_subnet_group_name       = aws_db_subnet_group.database.name
  publicly_accessible        = false
  promotion_tier             = 1 # any of ours, before those that autoscaling added (tier 15)
  auto_minor_version_upgrade = false
  copy_tags_to_snapshot      = true

  monitoring_interval = 60
  monitoring_role_arn = aws_iam_role.monitoring.arn

  performance_insights_enabled          = local.insights #tfsec:ignore:aws-rds-enable-performance-insights Not on T classes.
  performance_insights_kms_key_id       = local.insights ? local.shared.key_arns["data"] : null
  performance_insights_retention_period = local.insights ? 7 : null # days, the free ones
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
