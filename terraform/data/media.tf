# The bucket of uploaded media, where files.media is s3. CloudFront reads it, web tasks and jobs
# write it, nobody else. The policy that lets the distribution in stands beside the distribution.

locals {
  media = var.media == "s3" ? toset(["media"]) : toset([])
}

# Its public access block stands below; tfsec 1.26 does not find it through for_each.
#tfsec:ignore:aws-s3-block-public-acls
#tfsec:ignore:aws-s3-block-public-policy
#tfsec:ignore:aws-s3-ignore-public-acls
#tfsec:ignore:aws-s3-no-public-buckets
#tfsec:ignore:aws-s3-specify-public-access-block
#tfsec:ignore:aws-s3-enable-bucket-logging CloudFront's log says who read, CloudTrail who wrote.
resource "aws_s3_bucket" "media" {
  for_each = local.media

  bucket        = "${var.name}-media-${var.account}-${var.region}" # names are the world's
  force_destroy = false                                            # people's pictures
}

resource "aws_s3_bucket_versioning" "media" {
  for_each = local.media

  bucket = aws_s3_bucket.media[each.key].id
  versioning_configuration {
    status = "Enabled" # a picture that was deleted by mistake is there for 90 days
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "media" {
  for_each = local.media

  bucket = aws_s3_bucket.media[each.key].id
  rule {
    bucket_key_enabled = true # one request to KMS for many objects
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.shared.key_arns["media"]
    }
  }
}

resource "aws_s3_bucket_public_access_block" "media" {
  for_each = local.media

  bucket                  = aws_s3_bucket.media[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "media" {
  for_each = local.media

  bucket = aws_s3_bucket.media[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "media" {
  for_each = local.media

  bucket = aws_s3_bucket_versioning.media[each.key].bucket
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}
