output "url" {
  description = "Where the site answers, without a slash at the end."
  value       = local.cluster.url
}

output "web" {
  description = "The web service; the template that a release's definition is made of, with its family; and the scalable target with the bounds that a release sets."
  value = {
    service  = aws_ecs_service.web.name
    template = aws_ecs_task_definition.web.arn
    family   = "${var.name}-web"
    target   = aws_appautoscaling_target.web.resource_id
    tasks    = var.web.tasks
  }
}

output "jobs" {
  description = "The service of cron, and the template of jobs."
  value = {
    service  = aws_ecs_service.jobs.name
    template = aws_ecs_task_definition.jobs.arn
    family   = "${var.name}-jobs"
  }
}

output "init" {
  description = "The template of the job that makes WordPress' database user."
  value = {
    template = aws_ecs_task_definition.init.arn
    family   = "${var.name}-init"
  }
}

output "run" {
  description = "How a one-off task is run: cluster, capacity provider, subnets, security group."
  value = {
    cluster           = local.cluster.cluster_arn
    capacity_provider = local.cluster.capacity_provider
    subnets           = local.shared.private_subnet_ids
    security_group    = local.shared.security_group_ids["jobs"]
  }
}

output "config" {
  description = "PLATEN_TASK of the templates, as JSON."
  value       = jsonencode(local.config)
}

output "topic_arn" {
  description = "Where alarms are published."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "The dashboard's name."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "distribution_id" {
  description = "CloudFront's distribution; empty without a CDN."
  value       = join("", [for distribution in aws_cloudfront_distribution.site : distribution.id])
}

output "log_groups" {
  description = "Log groups: nginx, php, jobs."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}
