# Hosts, capacity provider and balancer, without AWS: terraform test.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/blog/0123456789abcdef" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/blog/0123456789abcdef" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = { arn = "arn:aws:acm:eu-west-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef" }
  }
}

override_data {
  target = data.terraform_remote_state.shared
  values = {
    outputs = {
      vpc_id             = "vpc-0123456789abcdef0"
      zones              = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
      public_subnet_ids  = ["subnet-public-a", "subnet-public-b", "subnet-public-c"]
      private_subnet_ids = ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
      security_group_ids = { balancer = "sg-balancer", hosts = "sg-hosts" }
      key_arns           = { operations = "arn:aws:kms:eu-west-1:123456789012:key/operations" }
    }
  }
}

variables {
  account     = "123456789012"
  region      = "eu-west-1"
  site        = "blog"
  environment = "dev"
  name        = "blog-dev"
  tags        = { Creator = "web-team" }
  state       = { bucket = "state", region = "eu-west-1" }
  log_days    = 3
  cdn         = false
  domain      = { name = "", zone_id = "" }
  hosts = {
    type         = "t4g.medium"
    architecture = "arm64"
    image        = "ami-0123456789abcdef0"
    trunking     = false
    count        = { min = 1, max = 3 }
    fill         = 90
    step         = { min = 1, max = 2 }
  }
}

run "dev" {
  command = plan

  assert {
    condition     = aws_launch_template.hosts.metadata_options[0].http_tokens == "required" && aws_launch_template.hosts.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Instances answer IMDSv1, or containers."
  }
  assert {
    condition     = alltrue([for device in aws_launch_template.hosts.block_device_mappings : device.ebs[0].encrypted == "true"])
    error_message = "A disk is not encrypted."
  }
  assert {
    condition     = alltrue([for setting in ["ECS_CLUSTER=blog-dev", "ECS_AWSVPC_BLOCK_IMDS=true"] : strcontains(base64decode(aws_launch_template.hosts.user_data), "\n${setting}\n")])
    error_message = "The agent is not told its cluster, or lets tasks take the host's role."
  }
  assert {
    condition     = aws_autoscaling_group.hosts.protect_from_scale_in && aws_autoscaling_group.hosts.force_delete
    error_message = "Managed termination protection needs scale-in protection, and a destroy needs force_delete to get past it."
  }
  assert {
    condition     = length(aws_autoscaling_group.hosts.vpc_zone_identifier) == 3
    error_message = "The group does not span three zones."
  }
  assert {
    condition     = anytrue([for tag in aws_autoscaling_group.hosts.tag : tag.key == "AmazonECSManaged" && tag.propagate_at_launch])
    error_message = "ECS would add its tag, and the next plan take it away."
  }
  assert {
    condition     = one(one(aws_autoscaling_group.hosts.instance_refresh).preferences).scale_in_protected_instances == "Refresh"
    error_message = "An instance refresh would wait for protected instances."
  }
  assert {
    condition = alltrue([for provider in aws_ecs_capacity_provider.hosts.auto_scaling_group_provider :
      provider.managed_termination_protection == "ENABLED" && provider.managed_draining == "ENABLED" && provider.managed_scaling[0].target_capacity == 90 && provider.managed_scaling[0].maximum_scaling_step_size == 2
    ])
    error_message = "The capacity provider does not protect, drain, or scale as hosts says."
  }
  assert {
    condition     = aws_lb.this.idle_timeout == 70 && tonumber(aws_lb_target_group.web.deregistration_delay) > 70
    error_message = "nginx waits 65 s for php and keeps connections 75 s: the balancer's idle time stands between, and a drain outlasts it."
  }
  assert {
    condition     = aws_lb.this.drop_invalid_header_fields && aws_lb.this.enable_deletion_protection && !aws_lb.this.internal
    error_message = "The balancer takes invalid headers, can be deleted by mistake, or hides without a CDN."
  }
  assert {
    condition     = aws_lb_target_group.web.health_check[0].path == "/-/task" && aws_lb_target_group.web.health_check[0].matcher == "200" && aws_lb_target_group.web.port == 8080
    error_message = "The balancer asks for something else than the task's health."
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "forward" && length(aws_lb_listener.https) == 0
    error_message = "Without a domain there is no certificate to redirect to."
  }
}

run "prod" {
  command = plan

  variables {
    environment = "prod"
    name        = "blog-prod"
    cdn         = true
    domain      = { name = "www.example.com", zone_id = "Z0123456789" }
    hosts = {
      type         = "m7g.large"
      architecture = "arm64"
      image        = "ami-0123456789abcdef0"
      trunking     = true
      count        = { min = 3, max = 8 }
      fill         = 100
      step         = { min = 1, max = 2 }
    }
  }

  assert {
    condition     = aws_lb.this.internal && aws_lb.this.subnets == toset(["subnet-private-a", "subnet-private-b", "subnet-private-c"])
    error_message = "Behind CloudFront the balancer is reachable from outside."
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].status_code == "HTTP_301"
    error_message = "HTTP does not lead to HTTPS."
  }
  assert {
    condition     = alltrue([for listener in aws_lb_listener.https : listener.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"]) && length(aws_lb_listener.https) == 1
    error_message = "HTTPS takes something older than TLS 1.2, or is not there."
  }
}

run "refuses_a_trunk_on_t" {
  command = plan
  variables {
    hosts = {
      type         = "t4g.medium"
      architecture = "arm64"
      image        = "ami-0123456789abcdef0"
      trunking     = true
      count        = { min = 1, max = 3 }
      fill         = 90
      step         = { min = 1, max = 2 }
    }
  }
  expect_failures = [aws_launch_template.hosts]
}

run "refuses" {
  command = plan
  variables {
    cdn = true
    hosts = {
      type         = "t4g.medium"
      architecture = "arm"
      image        = "latest"
      trunking     = false
      count        = { min = 4, max = 3 }
      fill         = 0
      step         = { min = 1, max = 2 }
    }
  }
  expect_failures = [var.cdn, var.hosts]
}
