# CloudFront before the balancer and the bucket of media.

# The way to the internal balancer. It belongs to this account, so nobody else's distribution can
# take it, and no header with a secret has to be kept.
resource "aws_cloudfront_vpc_origin" "balancer" {
  for_each = local.cdn

  vpc_origin_endpoint_config {
    name                   = var.name
    arn                    = local.cluster.balancer_arn
    http_port              = 80
    https_port             = 443
    origin_protocol_policy = "https-only"

    origin_ssl_protocols {
      items    = ["TLSv1.2"]
      quantity = 1
    }
  }
}

resource "aws_cloudfront_origin_access_control" "media" {
  for_each = var.media == "s3" ? local.cdn : toset([])

  name                              = "${var.name}-media"
  description                       = "The media of ${var.name}"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# Files: kept as long as their own Cache-Control says, which for versioned assets is a year. A
# file that says nothing is not kept.
resource "aws_cloudfront_cache_policy" "assets" {
  for_each = local.cdn

  name        = "${var.name}-assets"
  comment     = "By the Cache-Control of the answer; ?ver= tells versions apart"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "all"
    }
  }
}

# The web task that put a file into the bucket said how long it holds: a year for media, which never
# change under their name, minutes for what plugins write and tell apart by ?ver=. What somebody else
# put there, and which says nothing, is kept a day.
resource "aws_cloudfront_cache_policy" "media" {
  for_each = aws_cloudfront_origin_access_control.media

  name        = "${var.name}-media"
  comment     = "Uploads: by their own Cache-Control"
  min_ttl     = 0
  default_ttl = 86400
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "whitelist"
      query_strings {
        items = ["ver"]
      }
    }
  }
}

# Pages get the request as the visitor sent it (the Host too, whose certificate the balancer
# shows), and by which protocol he came: the balancer overwrites X-Forwarded-Proto from its own
# listener.
resource "aws_cloudfront_origin_request_policy" "site" {
  for_each = local.cdn

  name    = "${var.name}-site"
  comment = "All that the visitor sent, and his protocol"

  cookies_config {
    cookie_behavior = "all"
  }
  headers_config {
    header_behavior = "allViewerAndWhitelistCloudFront"
    headers {
      items = ["CloudFront-Forwarded-Proto"]
    }
  }
  query_strings_config {
    query_string_behavior = "all"
  }
}

locals {
  # AWS' own policy "CachingDisabled": HTML depends on who asks.
  caching_disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
}

#tfsec:ignore:aws-cloudfront-enable-logging The balancer and nginx log what reaches them, the firewall what it stops.
resource "aws_cloudfront_distribution" "site" {
  for_each = local.cdn

  comment         = var.name
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  aliases         = [each.key]
  price_class     = "PriceClass_100" # Europe and North America
  web_acl_id      = module.firewall["cdn"].arn

  # Some minutes, until every edge has it: after `up` the site answers everywhere.
  wait_for_deployment = true

  origin {
    origin_id   = "site"
    domain_name = local.cluster.balancer_dns_name

    vpc_origin_config {
      vpc_origin_id            = aws_cloudfront_vpc_origin.balancer[each.key].id
      origin_read_timeout      = 60 # AWS' most without asking for more; php ends a request then
      origin_keepalive_timeout = 60 # less than the balancer's 70: who reuses closes first
    }
  }

  dynamic "origin" {
    for_each = aws_cloudfront_origin_access_control.media
    content {
      origin_id                = "media"
      domain_name              = local.data.media.domain
      origin_access_control_id = origin.value.id
    }
  }

  default_cache_behavior {
    target_origin_id         = "site"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods           = ["GET", "HEAD"]
    compress                 = true
    cache_policy_id          = local.caching_disabled
    origin_request_policy_id = aws_cloudfront_origin_request_policy.site[each.key].id
  }

  # In this order: the first that fits counts.
  dynamic "ordered_cache_behavior" {
    for_each = aws_cloudfront_cache_policy.media
    content {
      path_pattern           = "/${local.uploads}*"
      target_origin_id       = "media"
      viewer_protocol_policy = "redirect-to-https"
      allowed_methods        = ["GET", "HEAD"]
      cached_methods         = ["GET", "HEAD"]
      compress               = true
      cache_policy_id        = ordered_cache_behavior.value.id
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = toset(["/wp-content/*", "/wp-includes/*"])
    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = "site"
      viewer_protocol_policy   = "redirect-to-https"
      allowed_methods          = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
      cached_methods           = ["GET", "HEAD"]
      compress                 = true
      cache_policy_id          = aws_cloudfront_cache_policy.assets[each.key].id
      origin_request_policy_id = aws_cloudfront_origin_request_policy.site[each.key].id
    }
  }

  viewer_certificate {
    acm_certificate_arn      = aws_acm_certificate_validation.cdn[each.key].certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
}

# The distribution may read the bucket, by TLS as everybody. It stands here and not beside the
# bucket because it names the distribution.
resource "aws_s3_bucket_policy" "media" {
  for_each = aws_cloudfront_origin_access_control.media

  bucket = local.data.media.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "CloudFront"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = "s3:GetObject"
        Resource  = "${local.data.media.arn}/*"
        Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.site[each.key].arn } }
      },
      {
        Sid       = "TLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*" # whatever it is, not in plain
        Resource  = [local.data.media.arn, "${local.data.media.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
