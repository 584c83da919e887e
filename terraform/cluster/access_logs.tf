# The balancer's access logs.

#tfsec:ignore:aws-s3-enable-bucket-logging This is where logs end.
#tfsec:ignore:aws-s3-encryption-customer-key Explained at its encryption.
resource "aws_s3_bucket" "logs" {
  bucket        = "${var.name}-balancer-${var.account}-${var.region}" # names are the world's
  force_destroy = true                                                # they leave with their balancer
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket = aws_s3_bucket.logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# A load balancer writes under S3's own key and no other (AWS, "Access logs for your Application
# Load Balancer").
#tfsec:ignore:aws-s3-encryption-customer-key As said above.
resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.log_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Balancer"
        Effect    = "Allow"
        Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.logs.arn}/AWSLogs/${var.account}/*" # names have the time in them
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:elasticloadbalancing:${var.region}:${var.account}:loadbalancer/app/${var.name}/*" } }
      },
      {
        Sid       = "TLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*" # whatever it is, not in plain
        Resource  = [aws_s3_bucket.logs.arn, "${aws_s3_bucket.logs.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.logs]
}
