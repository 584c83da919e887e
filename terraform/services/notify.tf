# Who hears of it.

resource "aws_sns_topic" "alarms" {
  name = "${var.name}-alarms"
  # Ours, since CloudWatch may not use AWS' own key.
  kms_master_key_id = local.shared.key_arns["operations"]
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndEvents"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

# AWS asks each for a confirmation once.
resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarms

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = startswith(each.key, "mailto:") ? "email" : "https"
  endpoint  = trimprefix(each.key, "mailto:")
}

# What happens once and has no metric.
locals {
  events = {
    job-failed = {
      says = "A job of ${var.name} failed"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Task State Change"]
        detail = {
          clusterArn = [local.cluster.cluster_arn]
          lastStatus = ["STOPPED"]
          # The definitions of releases and the template.
          taskDefinitionArn = [
            { prefix = "arn:${data.aws_partition.this.partition}:ecs:${var.region}:${var.account}:task-definition/${var.name}-jobs" },
            { prefix = "arn:${data.aws_partition.this.partition}:ecs:${var.region}:${var.account}:task-definition/${var.name}-init" },
          ]
          containers = { exitCode = [{ anything-but = 0 }] }
        }
      }
    }
    deployment-failed = {
      says = "A deployment of ${var.name} failed and went back"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Deployment State Change"]
        resources   = [{ prefix = "arn:${data.aws_partition.this.partition}:ecs:${var.region}:${var.account}:service/${local.cluster.cluster_name}/" }]
        detail      = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
      }
    }
    placement-failed = {
      says = "ECS cannot place a task of ${var.name}"
      pattern = {
        source      = ["aws.ecs"]
        detail-type = ["ECS Service Action"]
        resources   = [{ prefix = "arn:${data.aws_partition.this.partition}:ecs:${var.region}:${var.account}:service/${local.cluster.cluster_name}/" }]
        detail      = { eventName = ["SERVICE_TASK_PLACEMENT_FAILURE"] }
      }
    }
    backup-failed = {
      says = "A backup of ${var.name} failed"
      pattern = {
        source      = ["aws.backup"]
        detail-type = ["Backup Job State Change", "Copy Job State Change"]
        detail      = { state = ["ABORTED", "EXPIRED", "FAILED"], backupVaultName = [local.data.vault] }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.events

  name          = "${var.name}-${each.key}"
  description   = each.value.says
  event_pattern = jsonencode(each.value.pattern)
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = aws_cloudwatch_event_rule.this

  rule      = each.value.name
  target_id = "alarms"
  arn       = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths    = { detail = "$.detail", time = "$.time" }
    input_template = "{\"says\": ${jsonencode(local.events[each.key].says)}, \"time\": \"<time>\", \"detail\": <detail>}"
  }
}
