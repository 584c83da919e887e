output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Its range."
  value       = aws_vpc.this.cidr_block
}

output "zones" {
  description = "Its three zones. Subnets below are in their order."
  value       = var.network.zones
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer and the NAT gateways."
  value       = [for zone in var.network.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Subnets of hosts, tasks and EFS."
  value       = [for zone in var.network.zones : aws_subnet.private[zone].id]
}

output "database_subnet_ids" {
  description = "Subnets of Aurora and the caches."
  value       = [for zone in var.network.zones : aws_subnet.database[zone].id]
}

output "security_group_ids" {
  description = "A security group a tier: balancer, hosts, web, jobs, database, sessions, objects, files, endpoints."
  value       = { for tier, group in aws_security_group.tier : tier => group.id }
}

output "repository_urls" {
  description = "Where images are pushed: nginx, wordpress, jobs."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "repository_arns" {
  description = "The same repositories, for policies."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.arn }
}

output "key_arns" {
  description = "KMS keys: data, media, secrets, operations."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}

output "copy_key_arn" {
  description = "The KMS key of copies in the second region; empty without one."
  value       = join("", [for key in aws_kms_key.copies : key.arn])
}

output "nat_addresses" {
  description = "The addresses from which the site speaks to the internet."
  value       = [for zone in sort(local.nat_zones) : aws_eip.nat[zone].public_ip]
}
