# Tasks, services, scaling, alarms and the way in, without AWS: terraform test.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/blog" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:blog" }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:distribution/E0123456789", domain_name = "d0.cloudfront.net", hosted_zone_id = "Z2FDTNDATAQYW2" }
  }
}
mock_provider "aws" {
  alias = "us_east_1"
  mock_resource "aws_acm_certificate" {
    defaults = { arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/blog/01234567-89ab-cdef-0123-456789abcdef" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-blog" }
  }
}

# What the other stacks made. Each instance of the data source gets all of it.
override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = {
      zones              = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
      private_subnet_ids = ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
      security_group_ids = { web = "sg-web", jobs = "sg-jobs" }
      repository_urls    = { nginx = "registry/nginx", wordpress = "registry/wordpress", jobs = "registry/jobs" }
      repository_arns    = { nginx = "arn:aws:ecr:eu-west-1:123456789012:repository/nginx", wordpress = "arn:aws:ecr:eu-west-1:123456789012:repository/wordpress", jobs = "arn:aws:ecr:eu-west-1:123456789012:repository/jobs" }
      key_arns = {
        media      = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde1"
        secrets    = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde2"
        operations = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcde3"
      }

      cluster_name            = "blog"
      cluster_arn             = "arn:aws:ecs:eu-west-1:123456789012:cluster/blog"
      capacity_provider       = "blog-hosts"
      architecture            = "arm64"
      balancer_arn            = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/blog/0123456789abcdef"
      balancer_arn_suffix     = "app/blog/0123456789abcdef"
      balancer_dns_name       = "blog-1.eu-west-1.elb.amazonaws.com"
      balancer_zone_id        = "Z32O12XQLNTSW2"
      target_group_arn        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/blog-web/0123456789abcdef"
      target_group_arn_suffix = "targetgroup/blog-web/0123456789abcdef"
      url                     = "https://www.example.com"

      database = {
        cluster           = "blog"
        writer            = "writer:3306"
        reader            = "reader:3306"
        name              = "wordpress"
        user              = "wordpress"
        master_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master"
        final_snapshot    = "blog-final"
      }
      sessions = { id = "blog-sessions", address = "sessions:6379", nodes = ["blog-sessions-001", "blog-sessions-002"] }
      objects  = { id = "blog-objects", address = "objects:6379", nodes = ["blog-objects-0001-001"] }
      secret_arns = {
        db_password    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db_password"
        sessions_token = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sessions_token"
        objects_token  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:objects_token"
        salt           = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:salt"
        site_token     = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:site_token"
        admin_password = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:admin_password"
        mail_password  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mail_password"
      }
      files = {
        id               = "fs-0123456789abcdef0"
        arn              = "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-0123456789abcdef0"
        access_point_id  = "fsap-0123456789abcdef0"
        access_point_arn = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0"
      }
      media = { bucket = "blog-media", arn = "arn:aws:s3:::blog-media", domain = "blog-media.s3.eu-west-1.amazonaws.com" }
      vault = "blog"
    }
  }
}

variables {
  account              = "123456789012"
  region               = "eu-west-1"
  site                 = "blog"
  environment          = "dev"
  name                 = "blog-dev"
  tags                 = { Creator = "web-team" }
  state                = { bucket = "state", region = "eu-west-1" }
  log_days             = 3
  cdn                  = false
  domain               = { name = "", zone_id = "" }
  media                = "shared"
  alarms               = []
  database_connections = 90
  jobs                 = { cpu = 1, memory = 402653184 }
  web = {
    tasks    = { min = 1, max = 2 }
    scale    = { cpu = 60, requests = 0 }
    schedule = []
    php      = { cpu = 0.4, memory = 805306368 }
    nginx    = { cpu = 0.1, memory = 134217728 }
  }
  task = {
    content  = "shared"
    php      = { children = 7, memory = 805306368, upload = 67108864, timeout = 60, env = { WP_MEMORY_LIMIT = "256M" }, settings = {} }
    nginx    = { memory = 134217728, cache = 44739242 }
    database = { name = "wordpress", user = "wordpress" }
    mail     = { address = "smtp.example.com:587", from = "blog@example.com", user = "", tls = "starttls" }
    drain    = 3
    trusted  = ["10.20.0.0/16"]
  }
}

run "dev" {
  command = plan

  assert {
    condition     = alltrue([for c in [local.php, local.nginx, local.job] : c.user == "33:33" && c.readonlyRootFilesystem && !c.privileged && c.linuxParameters.capabilities.drop == ["ALL"]])
    error_message = "A container is root, has capabilities or writes to its image."
  }
  assert {
    condition     = local.php.memory == 768 && local.nginx.memory == 128 && local.php.cpu == 409
    error_message = "Sizes are not web's."
  }
  assert {
    condition     = local.nginx.dependsOn[0].containerName == "php" && local.nginx.dependsOn[0].condition == "HEALTHY" && local.php.healthCheck.command == ["CMD", "/usr/bin/platen-agent", "health", "php"]
    error_message = "nginx starts before its configuration is written."
  }
  assert {
    condition     = local.php.stopTimeout > 60 && local.nginx.stopTimeout > 60
    error_message = "A container is killed before a request's limit."
  }
  assert {
    condition     = local.shared_folder.type == "tmpfs" && strcontains(local.shared_folder.o, "uid=33,gid=33,mode=0750")
    error_message = "The folder that php and nginx share is not in memory, or not theirs."
  }
  assert {
    condition     = [for mount in local.nginx.mountPoints : mount.readOnly if mount.sourceVolume == "content"] == [true] && [for mount in local.php.mountPoints : mount.containerPath if mount.sourceVolume == "content"] == ["/usr/share/wordpress/wp-content"]
    error_message = "nginx writes to the share, or the share is not wp-content."
  }
  assert {
    condition     = jsondecode(local.php.environment[0].value).database.writer == "writer:3306" && jsondecode(local.php.environment[0].value).objects.cluster && jsondecode(local.php.environment[0].value).url == "https://www.example.com"
    error_message = "PLATEN_TASK does not say where the data are."
  }
  assert {
    condition     = toset([for secret in local.php.secrets : secret.name]) == toset(["DB_PASSWORD", "SESSIONS_TOKEN", "OBJECTS_TOKEN", "SALT", "SITE_TOKEN"])
    error_message = "Web tasks get other secrets than their own, or one that has no version."
  }
  assert {
    condition     = !contains(local.execution["web"].secrets, local.data.secret_arns["admin_password"]) && !contains(local.execution["jobs"].secrets, local.data.database.master_secret_arn) && contains(local.execution["init"].secrets, local.data.database.master_secret_arn)
    error_message = "Others than the init job may read the master's password, or web tasks the administrator's."
  }
  assert {
    condition     = aws_ecs_service.web.desired_count == 0 && aws_ecs_service.jobs.desired_count == 0
    error_message = "A task would run before the first release."
  }
  assert {
    condition     = aws_ecs_service.web.deployment_circuit_breaker[0].rollback && aws_ecs_service.web.alarms[0].rollback
    error_message = "A bad release does not go back."
  }
  assert {
    condition     = aws_ecs_service.web.ordered_placement_strategy[0].field == "attribute:ecs.availability-zone" && aws_ecs_service.web.ordered_placement_strategy[1].type == "binpack"
    error_message = "Tasks are not spread over zones, then packed."
  }
  assert {
    condition     = aws_ecs_service.web.deployment_maximum_percent == 200 && aws_ecs_service.jobs.deployment_maximum_percent == 100
    error_message = "One web task cannot be rolled without a second, and cron must never be two."
  }
  assert {
    condition     = alltrue([for suspended in [aws_appautoscaling_target.web.suspended_state[0].dynamic_scaling_in_suspended, aws_appautoscaling_target.web.suspended_state[0].dynamic_scaling_out_suspended, aws_appautoscaling_target.web.suspended_state[0].scheduled_scaling_suspended] : suspended])
    error_message = "Autoscaling would start tasks that have nothing to run."
  }
  assert {
    condition     = keys(aws_appautoscaling_policy.web) == ["cpu"]
    error_message = "What is 0 is not followed."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-connections"].threshold == 72
    error_message = "The alarm is not at 80 % of the connections."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data == "notBreaching"])
    error_message = "A site without visitors raises an alarm."
  }
  assert {
    condition     = alltrue([for name in aws_ecs_service.web.alarms[0].alarm_names : contains(concat([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name], [aws_cloudwatch_metric_alarm.errors.alarm_name]), name)])
    error_message = "The deployment waits for an alarm that there is not."
  }
  assert {
    condition     = length(aws_cloudfront_distribution.site) == 0 && length(aws_route53_record.site) == 0 && length(aws_wafv2_web_acl_association.balancer) == 1 && length(module.firewall) == 0
    error_message = "Without a CDN the firewall stands before the balancer."
  }
  assert {
    condition     = alltrue([for name in concat([aws_ecs_service.web.name, aws_ecs_task_definition.web.family], [for role in aws_iam_role.execution : role.name]) : startswith(name, "blog-dev-") && length(name) <= 64])
    error_message = "A name is not the environment's, or too long."
  }
}

run "prod" {
  command = plan

  variables {
    environment = "prod"
    name        = "blog-prod"
    cdn         = true
    domain      = { name = "www.example.com", zone_id = "Z0123456789" }
    media       = "s3"
    alarms      = ["mailto:oncall@example.com", "https://hooks.example.com/x"]
    web = {
      tasks    = { min = 3, max = 12 }
      scale    = { cpu = 60, requests = 800 }
      schedule = [{ cron = "cron(0 7 ? * MON-FRI *)", tasks = { min = 6, max = 12 } }]
      php      = { cpu = 0.4, memory = 805306368 }
      nginx    = { cpu = 0.1, memory = 134217728 }
    }
    task = {
      content  = "image"
      php      = { children = 7, memory = 805306368, upload = 67108864, timeout = 60, env = {}, settings = {} }
      nginx    = { memory = 134217728, cache = 44739242 }
      database = { name = "wordpress", user = "wordpress" }
      mail     = { address = "smtp.example.com:587", from = "blog@example.com", user = "blog", tls = "starttls" }
      drain    = 3
      trusted  = ["10.30.0.0/16"]
    }
  }

  assert {
    condition     = contains([for secret in local.php.secrets : secret.name], "MAIL_PASSWORD")
    error_message = "A mail server that asks for a password gets none."
  }
  assert {
    condition     = local.php.mountPoints[1].containerPath == "/usr/share/wordpress/wp-content/uploads"
    error_message = "With content: image the share hides the image's plugins and themes."
  }
  assert {
    condition     = aws_ecs_service.web.deployment_maximum_percent == 134
    error_message = "A deployment of three tasks needs one more, not three."
  }
  assert {
    condition     = keys(aws_appautoscaling_policy.web) == ["cpu", "requests"] && aws_appautoscaling_policy.web["requests"].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].resource_label == "app/blog/0123456789abcdef/targetgroup/blog-web/0123456789abcdef"
    error_message = "Tasks do not follow the requests of their own target group."
  }
  assert {
    condition     = aws_appautoscaling_scheduled_action.web["1"].scalable_target_action[0].min_capacity == "6"
    error_message = "The morning does not raise the lower bound."
  }
  assert {
    condition     = { for to, s in aws_sns_topic_subscription.alarms : to => "${s.protocol} ${s.endpoint}" } == { "mailto:oncall@example.com" = "email oncall@example.com", "https://hooks.example.com/x" = "https https://hooks.example.com/x" }
    error_message = "Alarms do not go where they should."
  }
  assert {
    condition     = aws_cloudfront_distribution.site["www.example.com"].default_cache_behavior[0].cache_policy_id == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad" && aws_cloudfront_distribution.site["www.example.com"].default_cache_behavior[0].viewer_protocol_policy == "redirect-to-https"
    error_message = "CloudFront keeps pages, or serves them in plain."
  }
  assert {
    condition     = aws_cloudfront_distribution.site["www.example.com"].ordered_cache_behavior[0].path_pattern == "/wp-content/uploads/*" && aws_cloudfront_distribution.site["www.example.com"].ordered_cache_behavior[0].target_origin_id == "media"
    error_message = "Uploads do not come from the bucket."
  }
  assert {
    condition     = aws_cloudfront_vpc_origin.balancer["www.example.com"].vpc_origin_endpoint_config[0].origin_protocol_policy == "https-only"
    error_message = "CloudFront asks the balancer in plain."
  }
  assert {
    condition     = one(aws_cloudfront_origin_request_policy.site["www.example.com"].headers_config[0].headers[0].items) == "CloudFront-Forwarded-Proto"
    error_message = "The site does not learn the visitor's protocol."
  }
  assert {
    condition     = keys(aws_route53_record.site) == ["A", "AAAA"] && length(module.firewall_balancer) == 0 && length(module.firewall) == 1
    error_message = "The domain does not lead to CloudFront with its firewall."
  }
  assert {
    condition     = length(local.media_statements) == 3 && local.media_statements[0].Resource == "arn:aws:s3:::blog-media/wp-content/uploads/*"
    error_message = "Tasks may not write media, or more than media."
  }
  assert {
    condition     = jsondecode(output.config).media == { bucket = "blog-media", region = "eu-west-1", prefix = "wp-content/uploads/" }
    error_message = "Tasks are not told of the bucket."
  }
}

# At night there is one task, and a deployment must be able to add a second.
run "a_schedule_below_the_bounds" {
  command = plan
  variables {
    web = {
      tasks    = { min = 3, max = 12 }
      scale    = { cpu = 60, requests = 0 }
      schedule = [{ cron = "cron(0 22 * * ? *)", tasks = { min = 1, max = 2 } }]
      php      = { cpu = 0.4, memory = 805306368 }
      nginx    = { cpu = 0.1, memory = 134217728 }
    }
  }

  assert {
    condition     = aws_ecs_service.web.deployment_maximum_percent == 200
    error_message = "A deployment at night stands still."
  }
}

run "refuses" {
  command = plan
  variables {
    media  = "s3" # without a CDN, nobody could read the bucket
    alarms = ["oncall@example.com"]
    task = {
      content  = "shared"
      php      = { children = 7, memory = 805306368, upload = 67108864, timeout = 120, env = {}, settings = {} } # the balancer gives up at 70
      nginx    = { memory = 134217728, cache = 44739242 }
      database = { name = "wordpress", user = "wordpress" }
      mail     = { address = "smtp.example.com:587", from = "blog@example.com", user = "", tls = "starttls" }
      drain    = 3
      trusted  = []
    }
  }
  expect_failures = [var.media, var.alarms, var.task]
}
