# Nine subnets in three zones. Private ones are the widest: in awsvpc mode every task has an
# address of its own, and during a deployment the old and the new one have.

locals {
  prefix = tonumber(split("/", var.network.cidr)[1])

  # Bits that a private, public and database subnet add to the range. A load balancer's subnet
  # must be /27 or wider (AWS, "Application Load Balancers", subnets), any subnet /28 or wider.
  bits = local.prefix <= 22 ? [2, 5, 5] : local.prefix == 23 ? [3, 4, 5] : [3, 3, 4]

  # In this order and not by purpose: from wide to narrow nothing of the range is lost.
  blocks = cidrsubnets(var.network.cidr, flatten([for bits in local.bits : [bits, bits, bits]])...)

  zones = {
    for i, zone in var.network.zones : zone => {
      private  = local.blocks[i]
      public   = local.blocks[3 + i]
      database = local.blocks[6 + i]
    }
  }

  # The zones that have a NAT gateway, and each zone's way out.
  nat_zones = var.network.nat == "single" ? toset([var.network.zones[0]]) : toset(var.network.zones)
  way_out   = { for zone in var.network.zones : zone => var.network.nat == "single" ? var.network.zones[0] : zone }
}

resource "aws_vpc" "this" {
  cidr_block           = var.network.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # interface endpoints and EFS answer to names
  tags                 = { Name = var.name }
}

# The group that whatever names none would get: it lets nothing in or out.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-unused" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value.public
  map_public_ip_on_launch = false # load balancer and NAT bring their own addresses
  tags                    = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.private
  tags              = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_subnet" "database" {
  for_each = local.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.database
  tags              = { Name = "${var.name}-database-${each.key}" }
}

resource "aws_eip" "nat" {
  for_each = local.nat_zones

  domain     = "vpc"
  tags       = { Name = "${var.name}-nat-${each.key}" }
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat_zones

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

# A table a zone also with a single NAT gateway: a second one is then a change of routes alone.
resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private" {
  for_each = local.way_out

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# Databases and caches have no way out at all.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-database" }
}

resource "aws_route_table_association" "database" {
  for_each = aws_subnet.database

  subnet_id      = each.value.id
  route_table_id = aws_route_table.database.id
}
