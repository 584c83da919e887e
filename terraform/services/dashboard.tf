# One page, three rows: is it up, is it fast, what is it short of.

locals {
  # A widget is a third of the page wide.
  graphs = [
    [
      { title = "Requests and errors", stat = "Sum", metrics = [
        ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", local.cluster.balancer_arn_suffix],
        [".", "HTTPCode_Target_5XX_Count", ".", ".", { color = "#d62728" }],
        [".", "HTTPCode_ELB_5XX_Count", ".", ".", { color = "#ff9896" }],
      ] },
      { title = "Tasks: healthy, wanted, running", stat = "Maximum", metrics = [
        ["AWS/ApplicationELB", "HealthyHostCount", "TargetGroup", local.cluster.target_group_arn_suffix, "LoadBalancer", local.cluster.balancer_arn_suffix],
        ["ECS/ContainerInsights", "DesiredTaskCount", "ClusterName", local.cluster.cluster_name, "ServiceName", "${var.name}-web"],
        [".", "RunningTaskCount", ".", ".", ".", "."],
      ] },
      { title = "Site and jobs", stat = "Sum", metrics = [
        [local.own_metrics, "SiteUnhealthy"],
        ["AWS/Events", "MatchedEvents", "RuleName", "${var.name}-job-failed", { label = "failed jobs" }],
        ["...", "${var.name}-deployment-failed", { label = "failed deployments" }],
        ["...", "${var.name}-backup-failed", { label = "failed backups" }],
      ] },
    ],
    [
      { title = "Time to answer: p50, p95, p99", stat = "p95", metrics = [
        ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", local.cluster.balancer_arn_suffix, { stat = "p50" }],
        ["...", { stat = "p95" }],
        ["...", { stat = "p99" }],
      ] },
      { title = "php: queue before it, busy children (%)", stat = "Maximum", metrics = [
        [local.own_metrics, "PhpQueue"],
        [local.own_metrics, "PhpBusy", { yAxis = "right" }],
        [local.own_metrics, "PhpBusy", { yAxis = "right", stat = "Average", label = "average of the tasks" }],
      ] },
      { title = "Database: time to commit, lag of readers (ms)", stat = "Average", metrics = [
        ["AWS/RDS", "CommitLatency", "DBClusterIdentifier", local.data.database.cluster, "Role", "WRITER"],
        [".", "AuroraReplicaLag", ".", ".", ".", "READER"],
      ] },
    ],
    [
      { title = "Web: CPU and memory (%)", stat = "Average", metrics = [
        ["AWS/ECS", "CPUUtilization", "ClusterName", local.cluster.cluster_name, "ServiceName", "${var.name}-web"],
        [".", "MemoryUtilization", ".", ".", ".", "."],
        ["AWS/ECS/ManagedScaling", "CapacityProviderReservation", "ClusterName", local.cluster.cluster_name, "CapacityProviderName", local.cluster.capacity_provider],
      ] },
      { title = "Database: CPU (%), connections", stat = "Average", metrics = [
        ["AWS/RDS", "CPUUtilization", "DBClusterIdentifier", local.data.database.cluster, "Role", "WRITER"],
        ["...", "READER"],
        [".", "DatabaseConnections", ".", ".", ".", "WRITER", { yAxis = "right" }],
        ["...", "READER", { yAxis = "right" }],
      ] },
      { title = "Caches: memory (%), evictions; share: operations (%)", stat = "Maximum", metrics = concat(
        [for node in concat(local.data.sessions.nodes, local.data.objects.nodes) : ["AWS/ElastiCache", "DatabaseMemoryUsagePercentage", "CacheClusterId", node]],
        [for node in local.data.objects.nodes : ["AWS/ElastiCache", "Evictions", "CacheClusterId", node, { yAxis = "right", stat = "Sum" }]],
        [["AWS/EFS", "PercentIOLimit", "FileSystemId", local.data.files.id]],
      ) },
    ],
  ]

  headings = ["## Is it up?", "## Is it fast?", "## What is it short of?"]

  alarm_arns = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.this : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.nodes : alarm.arn],
    [aws_cloudwatch_metric_alarm.errors.arn, aws_cloudwatch_metric_alarm.no_capacity.arn],
  ))
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = concat(
      [{ type = "alarm", x = 0, y = 0, width = 24, height = 4, properties = { title = local.cluster.url, alarms = local.alarm_arns } }],
      flatten([for row, heading in local.headings : concat(
        [{ type = "text", x = 0, y = 4 + 8 * row, width = 24, height = 2, properties = { markdown = heading } }],
        [for column, graph in local.graphs[row] : {
          type       = "metric", x = 8 * column, y = 6 + 8 * row, width = 8, height = 6
          properties = { title = graph.title, metrics = graph.metrics, stat = graph.stat, period = 60, region = var.region, view = "timeSeries", stacked = false }
        }],
      )]),
    )
  })
}
