# Ways to AWS' own services that do not lead through a NAT gateway.

# Free, and the layers of every image come from S3.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]
  tags              = { Name = "${var.name}-s3" }
}

# An interface endpoint costs about 8 USD a month and zone; what NAT charges for the same bytes is
# less below some 160 GB. They pay by what stays possible when a NAT gateway fails: a task that
# cannot fetch its image or its secrets does not start, and one whose log blocks does not answer.
# So they come with nat: per-zone, which is bought for the same reason; with a single gateway the
# money is better spent on a second one.
locals {
  endpoints = var.network.nat == "per-zone" ? toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager"]) : toset([])
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for zone in var.network.zones : aws_subnet.private[zone].id]
  security_group_ids  = [aws_security_group.tier["endpoints"].id]
  tags                = { Name = "${var.name}-${each.key}" }
}
