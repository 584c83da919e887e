# The share: what wp-admin may change.

resource "aws_efs_file_system" "content" {
  creation_token   = "${var.name}-content"
  encrypted        = true
  kms_key_id       = local.shared.key_arns["data"]
  performance_mode = "generalPurpose" # elastic throughput asks for it

  # Bursting gives 50 KiB/s a GiB: a small site would stand still on it.
  throughput_mode = "elastic"

  lifecycle_policy {
    transition_to_ia = "AFTER_30_DAYS"
  }
  lifecycle_policy {
    transition_to_primary_storage_class = "AFTER_1_ACCESS"
  }

  tags = { Name = "${var.name}-content" }
}

resource "aws_efs_mount_target" "content" {
  for_each = { for i, zone in local.shared.zones : zone => local.shared.private_subnet_ids[i] }

  file_system_id  = aws_efs_file_system.content.id
  subnet_id       = each.value
  security_groups = [local.shared.security_group_ids["files"]]
}

# Whoever mounts is www-data (33 in Debian, as in the images), whatever he says.
resource "aws_efs_access_point" "content" {
  file_system_id = aws_efs_file_system.content.id

  posix_user {
    uid = 33
    gid = 33
  }

  root_directory {
    path = "/content"
    creation_info {
      owner_uid   = 33
      owner_gid   = 33
      permissions = "0755"
    }
  }

  tags = { Name = "${var.name}-content" }
}

# A policy replaces the rule that everybody in the VPC may mount. IAM decides (the tasks' roles
# have the rights), through the access point and by TLS only.
resource "aws_efs_file_system_policy" "content" {
  file_system_id = aws_efs_file_system.content.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RolesOfThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${var.account}:root" }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.content.arn
        Condition = {
          Bool         = { "elasticfilesystem:AccessedViaMountTarget" = "true" }
          StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.content.arn }
        }
      },
      {
        Sid       = "TLS"
        Effect    = "Deny"
        Principal = { AWS = "*" } # whoever it is, not in plain
        Action    = "*"
        Resource  = aws_efs_file_system.content.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
