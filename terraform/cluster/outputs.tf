output "cluster_name" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "cluster_arn" {
  description = "The ECS cluster, for policies."
  value       = aws_ecs_cluster.this.arn
}

output "capacity_provider" {
  description = "What services place their tasks by. Known once the cluster has it."
  value       = aws_ecs_capacity_provider.hosts.name
  depends_on  = [aws_ecs_cluster_capacity_providers.this]
}

output "group_name" {
  description = "The Auto Scaling group of the hosts."
  value       = aws_autoscaling_group.hosts.name
}

output "architecture" {
  description = "Of the hosts, and so of the tasks: arm64 or x86_64."
  value       = var.hosts.architecture
}

output "balancer_arn" {
  description = "The load balancer."
  value       = aws_lb.this.arn
}

output "balancer_arn_suffix" {
  description = "The load balancer, as CloudWatch names it."
  value       = aws_lb.this.arn_suffix
}

output "balancer_dns_name" {
  description = "Its own name."
  value       = aws_lb.this.dns_name
}

output "balancer_zone_id" {
  description = "The hosted zone of that name, for alias records."
  value       = aws_lb.this.zone_id
}

output "target_group_arn" {
  description = "Where web tasks are registered. Known once a listener serves it."
  value       = aws_lb_target_group.web.arn
  # ECS refuses a service whose target group has no listener.
  depends_on = [aws_lb_listener.http, aws_lb_listener.https]
}

output "target_group_arn_suffix" {
  description = "The target group, as CloudWatch names it."
  value       = aws_lb_target_group.web.arn_suffix
}

output "log_bucket" {
  description = "The bucket of the access logs."
  value       = aws_s3_bucket.logs.bucket
}

output "url" {
  description = "Where the site answers, without a slash at the end."
  value       = var.domain.name == "" ? "http://${aws_lb.this.dns_name}" : "https://${var.domain.name}"
}
