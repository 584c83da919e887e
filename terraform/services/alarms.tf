# Alarms, each of which says what to look at. What is not measured is no alarm: a site without
# visitors is well.

locals {
  web_service = { ClusterName = local.cluster.cluster_name, ServiceName = "${var.name}-web" }
  balancer    = { LoadBalancer = local.cluster.balancer_arn_suffix }
  targets     = merge(local.balancer, { TargetGroup = local.cluster.target_group_arn_suffix })
  writer      = { DBClusterIdentifier = local.data.database.cluster, Role = "WRITER" }
  readers     = { DBClusterIdentifier = local.data.database.cluster, Role = "READER" }
  own_metrics = "Platen/${var.name}"

  # One metric above (or below) a threshold, for so many of so many minutes.
  alarms = {
    latency = {
      says      = "95 of 100 pages take up to 2 s or longer"
      namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", statistic = "p95", dimensions = local.targets
      above     = 2, minutes = 5, of = 5
    }
    unhealthy = {
      says      = "A web task does not answer /-/task"
      namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum", dimensions = local.targets
      above     = 0, minutes = 5, of = 5
    }
    web-cpu = {
      says      = "Web tasks use more than 85 % of their CPU: autoscaling is at its bound, or too slow"
      namespace = "AWS/ECS", metric = "CPUUtilization", statistic = "Average", dimensions = local.web_service
      above     = 85, minutes = 15, of = 15
    }
    web-memory = {
      says      = "Web tasks use more than 90 % of their memory"
      namespace = "AWS/ECS", metric = "MemoryUtilization", statistic = "Maximum", dimensions = local.web_service
      above     = 90, minutes = 10, of = 15
    }
    php-queue = {
      says      = "Requests wait for a free php child: more children or more tasks"
      namespace = local.own_metrics, metric = "PhpQueue", statistic = "Maximum", dimensions = {}
      above     = 5, minutes = 3, of = 5
    }
    site = {
      says      = "/-/site says that database, caches or files do not work"
      namespace = local.own_metrics, metric = "SiteUnhealthy", statistic = "Sum", dimensions = {}
      above     = 0, minutes = 3, of = 5
    }
    database-cpu = {
      says      = "The writer uses more than 85 % of its CPU"
      namespace = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", dimensions = local.writer
      above     = 85, minutes = 15, of = 15
    }
    database-connections = {
      says      = "More than 80 % of the writer's connections are taken: fewer php children or a larger class"
      namespace = "AWS/RDS", metric = "DatabaseConnections", statistic = "Maximum", dimensions = local.writer
      above     = floor(var.database_connections * 0.8), minutes = 5, of = 5
    }
    database-lag = {
      says      = "Readers are more than a second behind the writer"
      namespace = "AWS/RDS", metric = "AuroraReplicaLag", statistic = "Maximum", dimensions = local.readers
      above     = 1000, minutes = 5, of = 5
    }
    files-io = {
      says      = "The share is at 80 % of its operations: code or thumbnails are read from it all the time"
      namespace = "AWS/EFS", metric = "PercentIOLimit", statistic = "Maximum", dimensions = { FileSystemId = local.data.files.id }
      above     = 80, minutes = 15, of = 15
    }
    files-throughput = {
      # Elastic throughput is billed by the byte: 50 MiB/s are 176 GiB an hour.
      says      = "The share moves more than 50 MiB/s, which is slow for visitors and dear"
      namespace = "AWS/EFS", metric = "MeteredIOBytes", statistic = "Sum", dimensions = { FileSystemId = local.data.files.id }
      above     = 50 * 60 * local.mib, minutes = 15, of = 15
    }
    jobs-failed = {
      says      = "A job ended with an error"
      namespace = "AWS/Events", metric = "MatchedEvents", statistic = "Sum", dimensions = { RuleName = aws_cloudwatch_event_rule.this["job-failed"].name }
      above     = 0, minutes = 1, of = 1
    }
  }

  # Metrics of every node of a tier, of which the worst counts.
  node_alarms = {
    sessions-memory = {
      says   = "The session store is 80 % full; when it is full nobody can log in: a larger class"
      metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum", nodes = local.data.sessions.nodes
      above  = 80, minutes = 5
    }
    sessions-evictions = {
      says   = "The session store evicted sessions, which its policy forbids"
      metric = "Evictions", statistic = "Sum", nodes = local.data.sessions.nodes
      above  = 0, minutes = 1
    }
    sessions-cpu = {
      says   = "The session store's engine uses more than 80 % of its thread"
      metric = "EngineCPUUtilization", statistic = "Average", nodes = local.data.sessions.nodes
      above  = 80, minutes = 10
    }
    objects-evictions = {
      says   = "The object cache evicts more than 1000 entries a minute: it is too small for the site"
      metric = "Evictions", statistic = "Sum", nodes = local.data.objects.nodes
      above  = 1000, minutes = 15
    }
    objects-memory = {
      says   = "The object cache is full to 98 %: it lives by evicting"
      metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum", nodes = local.data.objects.nodes
      above  = 98, minutes = 30
    }
    objects-cpu = {
      says   = "The object cache's engine uses more than 80 % of its thread"
      metric = "EngineCPUUtilization", statistic = "Average", nodes = local.data.objects.nodes
      above  = 80, minutes = 10
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  dimensions          = each.value.dimensions
  period              = 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  datapoints_to_alarm = each.value.minutes
  evaluation_periods  = each.value.of
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# More than two of a hundred requests end in 5xx, the tasks' or the balancer's own, while there
# are enough requests to speak of a share.
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "More than 2 % of the requests end in 5xx"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 2
  datapoints_to_alarm = 3
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "share"
    label       = "5xx of 100 requests"
    expression  = "IF(requests > 20, 100 * (FILL(tasks, 0) + FILL(balancer, 0)) / requests, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      balancer = { metric = "HTTPCode_ELB_5XX_Count", dimensions = local.balancer }
      requests = { metric = "RequestCount", dimensions = local.balancer }
      tasks    = { metric = "HTTPCode_Target_5XX_Count", dimensions = local.targets }
    }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = "Sum"
        period      = 60
      }
    }
  }
}

# Tasks that ECS wants and cannot place: no instance, no network interface, no memory.
resource "aws_cloudwatch_metric_alarm" "no_capacity" {
  alarm_name          = "${var.name}-no-capacity"
  alarm_description   = "Web tasks are wanted that do not run: hosts.count is reached, or no instance can be had"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  datapoints_to_alarm = 10
  evaluation_periods  = 10
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "missing"
    label       = "Missing tasks"
    expression  = "desired - running"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { desired = "DesiredTaskCount", running = "RunningTaskCount" }
    content {
      id = metric_query.key
      metric {
        namespace   = "ECS/ContainerInsights"
        metric_name = metric_query.value
        dimensions  = local.web_service
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "nodes" {
  for_each = local.node_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  datapoints_to_alarm = each.value.minutes
  evaluation_periods  = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "worst"
    label       = "Worst node"
    expression  = "MAX([${join(", ", [for i, node in each.value.nodes : "node${i + 1}"])}])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { for i, node in each.value.nodes : "node${i + 1}" => node }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ElastiCache"
        metric_name = each.value.metric
        dimensions  = { CacheClusterId = metric_query.value }
        stat        = each.value.statistic
        period      = 60
      }
    }
  }
}

# What the agent of each web task logs once a minute becomes a metric (internal/agent/minute.go, whose
# test reads these patterns).
resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = {
    PhpQueue      = { pattern = "{ $.php_queue >= 0 }", value = "$.php_queue" }
    PhpBusy       = { pattern = "{ $.php_busy >= 0 }", value = "$.php_busy" }
    SiteUnhealthy = { pattern = "{ $.site_healthy IS FALSE }", value = "1" }
  }

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.this["php"].name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.own_metrics
    name      = each.key
    value     = each.value.value
  }
}
