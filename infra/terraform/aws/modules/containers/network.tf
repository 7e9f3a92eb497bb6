# No internet gateway, no NAT, no public address: services are reached by endpoints within the network.
resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Nothing to see: the network has no gateway, and endpoints and brokers log who comes
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.labels, { Name = var.name })
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = var.labels
}

resource "aws_subnet" "this" {
  count                   = length(var.zones)
  vpc_id                  = aws_vpc.this.id
  availability_zone       = "${var.region}${var.zones[count.index]}"
  cidr_block              = cidrsubnet(var.cidr, 2, count.index)
  map_public_ip_on_launch = false
  tags                    = merge(var.labels, { Name = "${var.name}-${var.zones[count.index]}" })
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
  tags   = var.labels
}

resource "aws_route_table_association" "this" {
  count          = length(var.zones)
  subnet_id      = aws_subnet.this[count.index].id
  route_table_id = aws_route_table.this.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.this.id]
  tags              = var.labels
}

resource "aws_vpc_endpoint" "service" {
  for_each            = toset(["ecr.api", "ecr.dkr", "logs", "sts", "secretsmanager", "kms"])
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.this[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = var.labels
}

resource "aws_security_group" "isopach" {
  name        = "${var.name}-isopach"
  description = "The command: reaches services and brokers, and is reached by nobody"
  vpc_id      = aws_vpc.this.id
  tags        = var.labels
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "Endpoints of services, reached from the network"
  vpc_id      = aws_vpc.this.id
  tags        = var.labels
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.endpoints.id
  description       = "TLS from the network"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "network" {
  security_group_id = aws_security_group.isopach.id
  description       = "Endpoints and brokers"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 9096
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.isopach.id
  description       = "Buckets, by their endpoint"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
