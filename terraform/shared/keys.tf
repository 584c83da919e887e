# Keys of data that outlives its stack: a snapshot, a backup or a bucket that is kept can only be
# read with its key. `platen down` leaves them standing unless it is told to leave nothing.

locals {
  keys = {
    data       = "Database, files, caches and their backups"
    media      = "Media bucket"
    secrets    = "Secrets Manager"
    operations = "Logs and alarms"
  }

  # What a service itself must be allowed, where it does not act in the name of a caller.
  # "Resource": "*" in a key's policy is that key.
  key_grants = {
    data    = []
    secrets = []
    media = [{
      Sid       = "CloudFrontReads"
      Effect    = "Allow"
      Principal = { Service = "cloudfront.amazonaws.com" }
      Action    = "kms:Decrypt"
      Resource  = "*"
      # Any distribution of this account: the bucket's own policy names the one.
      Condition = { ArnLike = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:cloudfront::${var.account}:distribution/*" } }
    }]
    operations = [
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        # Log groups of this account, whatever their name: the one of the VPC's flow is made here,
        # others in later stacks.
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.this.partition}:logs:${var.region}:${var.account}:log-group:*" } }
      },
      {
        # An alarm cannot publish to a topic under AWS' own key, whose policy nobody can change.
        Sid       = "AlarmsAndEvents"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
    ]
  }

  # The account's administrators decide by IAM who may use a key. Without this nobody could ever
  # change the key again (AWS, "Default key policy"); "kms:*" is what AWS names there.
  key_owner = {
    Sid       = "Account"
    Effect    = "Allow"
    Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${var.account}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = "${var.name}: ${each.value}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.key_owner], local.key_grants[each.key])
  })
  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}

# Copies in a second region are encrypted there, so that they can be restored without this one.
resource "aws_kms_key" "copies" {
  for_each = var.copy_to == "" ? toset([]) : toset([var.copy_to])
  provider = aws.copies

  description             = "${var.name}: copies of backups from ${var.region}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.key_owner]
  })
  tags = { Name = "${var.name}-copies" }
}

resource "aws_kms_alias" "copies" {
  for_each = aws_kms_key.copies
  provider = aws.copies

  name          = "alias/${var.name}-copies"
  target_key_id = each.value.key_id
}
