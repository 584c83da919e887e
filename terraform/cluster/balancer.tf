# The load balancer.
#
# Times in their order, each with a reason:
#   php ends a request after 60 s (request_terminate_timeout)
#   nginx waits for php 65 s (fastcgi_read_timeout), so that php's own answer comes through
#   the balancer waits for nginx 70 s
#   nginx keeps a connection 75 s (keepalive_timeout): the balancer, which reuses it, must be the
#   one that closes; else now and then a request meets a closed connection, and that is a 502

resource "aws_lb" "this" {
  name               = var.name
  load_balancer_type = "application"
  security_groups    = [local.shared.security_group_ids["balancer"]]

  # Behind CloudFront it has no public address at all: a VPC origin reaches it from inside, and
  # no secret header has to stand in a state file.
  internal = var.cdn #tfsec:ignore:aws-elb-alb-not-public Without a CDN visitors come to it.
  subnets  = var.cdn ? local.shared.private_subnet_ids : local.shared.public_subnet_ids

  idle_timeout               = 70
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"
  xff_header_processing_mode = "append" # nginx reads the visitor's address from the end

  # `platen down` lifts it, after the environment's name was typed.
  enable_deletion_protection = true

  access_logs {
    bucket  = aws_s3_bucket.logs.bucket
    enabled = true
  }

  depends_on = [aws_s3_bucket_policy.logs]
}

# Tasks are registered by their own addresses.
resource "aws_lb_target_group" "web" {
  name        = "${var.name}-web"
  vpc_id      = local.shared.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = 8080

  load_balancing_algorithm_type = "least_outstanding_requests" # a slow page does not queue others

  # The default of 300 s makes every deployment wait; a request ends within 70.
  deregistration_delay = 75

  # The task, not the site: nginx and php answer, no database. A failover must not take every
  # task out of service. 404 while a task drains.
  health_check {
    path                = "/-/task"
    protocol            = "HTTP"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  # Sessions are in their store: any task answers anybody.
  stickiness {
    type    = "lb_cookie"
    enabled = false
  }
}

# With a domain, HTTP only says where HTTPS is. Without one there is no certificate, and the
# balancer's own name answers in plain.
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP" #tfsec:ignore:aws-elb-http-not-used It only redirects, where there is a certificate.

  dynamic "default_action" {
    for_each = var.domain.name == "" ? [] : ["redirect"]
    content {
      type = "redirect"
      redirect {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }

  dynamic "default_action" {
    for_each = var.domain.name == "" ? ["forward"] : []
    content {
      type             = "forward"
      target_group_arn = aws_lb_target_group.web.arn
    }
  }
}

resource "aws_lb_listener" "https" {
  for_each = aws_acm_certificate_validation.site

  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  # TLS 1.2 and 1.3, nothing older.
  ssl_policy      = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn = each.value.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
