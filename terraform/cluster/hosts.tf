# The EC2 instances.
#
# Trunking (more tasks on an instance than it has network interfaces) is a setting of the account
# and the region, not of this stack: Platen switches it on and nothing here resets it, since
# another cluster may live by it. Instances that start later have it.

resource "aws_launch_template" "hosts" {
  name                   = "${var.name}-hosts"
  update_default_version = true

  # Pinned: with AWS' "recommended" every plan would differ on the day they publish an image.
  # `platen hosts update` moves it.
  image_id               = var.hosts.image
  instance_type          = var.hosts.type
  ebs_optimized          = true
  vpc_security_group_ids = [local.shared.security_group_ids["hosts"]]

  iam_instance_profile {
    arn = aws_iam_instance_profile.hosts.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required" # IMDSv2 alone
    http_put_response_hop_limit = 1          # not from a container on a bridge
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true # a minute's resolution, by which the alarms go
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 30 # what the ECS-optimised image asks for; images are below 1 GB
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  # Of what an instance brings along default_tags know nothing.
  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])
    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = "${var.name}-hosts" })
    }
  }

  user_data = base64encode(<<-EOT
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<'CONFIG'
    ECS_CLUSTER=${aws_ecs_cluster.this.name}
    # A task has the role of its task, never the host's.
    ECS_AWSVPC_BLOCK_IMDS=true
    # No container needs it, so none may ask.
    ECS_DISABLE_PRIVILEGED=true
    # Time for php to end its requests: the drain, a request's limit and ten seconds.
    ECS_CONTAINER_STOP_TIMEOUT=120s
    # Images of releases gone by leave after a day, never the one that starts tasks.
    ECS_IMAGE_MINIMUM_CLEANUP_AGE=24h
    ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1h
    CONFIG
  EOT
  )

  lifecycle {
    precondition {
      # A T type has two or three network interfaces and no trunk.
      condition     = !(var.hosts.trunking && startswith(var.hosts.type, "t"))
      error_message = "No T type can trunk: ${var.hosts.type}."
    }
  }
}

resource "aws_autoscaling_group" "hosts" {
  name                = "${var.name}-hosts"
  min_size            = var.hosts.count.min
  max_size            = var.hosts.count.max
  vpc_zone_identifier = local.shared.private_subnet_ids

  health_check_type         = "EC2"
  health_check_grace_period = 120
  default_instance_warmup   = 120
  protect_from_scale_in     = true # managed termination protection asks for it

  # A destroy else waits until the group is empty, which protected instances prevent for ever.
  # By then the services are gone, and with them what ran here.
  force_delete = true

  # ECS scales by desired capacity; `up` is not done because instances run, but because tasks do.
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.hosts.id
    version = aws_launch_template.hosts.latest_version
  }

  # A new machine image or type: first a new instance, then an old one goes, after ECS has moved
  # its tasks.
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage       = 100
      max_healthy_percentage       = 110
      scale_in_protected_instances = "Refresh" # else it waits for the very protection it set
      skip_matching                = true      # a refresh that was cut short goes on where it was
    }
  }

  # ECS takes a managed group by this tag, and would add it itself: the next plan would differ.
  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = "${var.name}-hosts" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags instances, volumes and interfaces
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity] # the capacity provider's
  }
}

resource "aws_iam_role" "hosts" {
  name = "${var.name}-hosts"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_instance_profile" "hosts" {
  name = "${var.name}-hosts"
  role = aws_iam_role.hosts.name
}

# Instances belong to this cluster and no other. AWS' own AmazonEC2ContainerServiceforEC2Role
# allows every cluster, every repository and every log group of the account.
#tfsec:ignore:aws-iam-no-policy-wildcards Each is explained below.
resource "aws_iam_role_policy" "hosts" {
  name = "agent"
  role = aws_iam_role.hosts.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Member"
        Effect = "Allow"
        Action = [
          "ecs:DeregisterContainerInstance",
          "ecs:RegisterContainerInstance",
          "ecs:SubmitAttachmentStateChanges",
          "ecs:SubmitContainerStateChange",
          "ecs:SubmitTaskStateChange",
        ]
        Resource = aws_ecs_cluster.this.arn
      },
      {
        Sid    = "Report"
        Effect = "Allow"
        Action = [
          "ecs:Poll",
          "ecs:StartTelemetrySession",
          "ecs:UpdateContainerInstancesState",
        ]
        # These know instances, not clusters, as their resource; the condition names the cluster.
        Resource  = "*"
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.this.arn } }
      },
      {
        Sid    = "Find"
        Effect = "Allow"
        # They take no resource (AWS, "Actions, resources, and condition keys for Amazon ECS").
        Action   = ["ecs:DiscoverPollEndpoint", "ec2:DescribeTags"]
        Resource = "*"
      },
    ]
  })
}

# A shell by Session Manager, without a key, an open port or a bastion.
resource "aws_iam_role_policy_attachment" "hosts_shell" {
  role       = aws_iam_role.hosts.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
