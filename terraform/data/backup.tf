# AWS Backup of files and database, in a vault that outlives both.
#
# EFS under writes is not saved at one instant (AWS says so), nor are files and database at the
# same: `platen backup` makes what must fit together.

locals {
  every = var.backups.every
  keep  = var.backups.keep

  # AWS Backup counts days, not copies.
  backup_rules = {
    for name, rule in {
      hourly  = { keep = local.keep.hourly, days = ceil(local.keep.hourly * local.every / 24), cron = local.every == 1 ? "cron(15 * * * ? *)" : "cron(15 0/${local.every} * * ? *)" }
      daily   = { keep = local.keep.daily, days = local.keep.daily, cron = "cron(0 3 * * ? *)" }
      weekly  = { keep = local.keep.weekly, days = local.keep.weekly * 7, cron = "cron(30 3 ? * SUN *)" }
      monthly = { keep = local.keep.monthly, days = local.keep.monthly * 31, cron = "cron(0 4 1 * ? *)" }
    } : name => rule if rule.keep > 0
  }

  # The vault stays when no more copies are made: those in it have their time.
  copies = var.backups.copy_to == "" ? toset([]) : toset(["copies"])
}

resource "aws_backup_vault" "this" {
  name          = var.name
  kms_key_arn   = local.shared.key_arns["data"]
  force_destroy = false # a vault with recovery points in it stays
}

resource "aws_backup_vault" "copies" {
  for_each = local.copies
  provider = aws.copies

  name          = "${var.name}-${each.key}"
  kms_key_arn   = local.shared.copy_key_arn
  force_destroy = false
}

resource "aws_backup_plan" "this" {
  name = var.name

  dynamic "rule" {
    for_each = local.backup_rules
    content {
      rule_name         = rule.key
      target_vault_name = aws_backup_vault.this.name
      schedule          = rule.value.cron # UTC
      start_window      = 60              # minutes
      completion_window = 360

      lifecycle {
        delete_after = max(1, rule.value.days)
      }

      dynamic "copy_action" {
        for_each = { for name, vault in aws_backup_vault.copies : name => vault if var.backups.copy }
        content {
          destination_vault_arn = copy_action.value.arn
          lifecycle {
            delete_after = max(1, rule.value.days)
          }
        }
      }
    }
  }
}

resource "aws_backup_selection" "this" {
  name         = var.name
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = [aws_efs_file_system.content.arn, aws_rds_cluster.database.arn]

  depends_on = [aws_iam_role_policy_attachment.backup]
}

resource "aws_iam_role" "backup" {
  name = "${var.name}-backup"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

# AWS' own policies, which grow with what Backup needs.
resource "aws_iam_role_policy_attachment" "backup" {
  for_each = toset(["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"])

  role       = aws_iam_role.backup.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/${each.key}"
}
