"""What an account holds, asked of its APIs: {"kind": ["name", …]} as JSON.

AWS_ENDPOINT_URL=… python inventory.py REGION SECOND_REGION

What AWS makes by itself in every account (default networks, keys of its services, service-linked
roles) is left out, and so is what is being removed.
"""
import json, sys
import boto3

region, second = sys.argv[1:]
found = {}


def client(service, where=region):
    return boto3.client(service, region_name=where)


def add(kind, names):
    found.setdefault(kind, []).extend(names)


def pages(api, call, key, **kw):
    if api.can_paginate(call):
        for page in api.get_paginator(call).paginate(**kw):
            yield from page[key] or []
    else:
        yield from getattr(api, call)(**kw)[key] or []


def keys(where):
    api = client("kms", where)
    aliases = list(pages(api, "list_aliases", "Aliases"))
    own = {a.get("TargetKeyId") for a in aliases if a["AliasName"].startswith("alias/aws/")}
    for k in pages(api, "list_keys", "Keys"):
        m = api.describe_key(KeyId=k["KeyId"])["KeyMetadata"]
        if k["KeyId"] not in own:
            kind = "keys that wait for their deletion" if m["KeyState"] == "PendingDeletion" else "keys"
            add(kind, [f"{where} {k['KeyId']}"])
    add("key aliases", [f"{where} {a['AliasName']}" for a in aliases if not a["AliasName"].startswith("alias/aws/")])


add("repositories", [r["repositoryName"] for r in pages(client("ecr"), "describe_repositories", "repositories")])
iam = client("iam")
add("roles", [r["RoleName"] for r in pages(iam, "list_roles", "Roles") if not r["Path"].startswith("/aws-service-role/")])
add("instance profiles", [p["InstanceProfileName"] for p in pages(iam, "list_instance_profiles", "InstanceProfiles")])
add("policies", [p["PolicyName"] for p in pages(iam, "list_policies", "Policies", Scope="Local")])
for where in {region, "us-east-1"}:
    add("log groups", [f"{where} {g['logGroupName']}" for g in pages(client("logs", where), "describe_log_groups", "logGroups")])
    add("certificates", [f"{where} {c['DomainName']}" for c in pages(client("acm", where), "list_certificates", "CertificateSummaryList")])
elb = client("elbv2")
add("balancers", [b["LoadBalancerName"] for b in pages(elb, "describe_load_balancers", "LoadBalancers")])
add("target groups", [g["TargetGroupName"] for g in pages(elb, "describe_target_groups", "TargetGroups")])
add("host groups", [g["AutoScalingGroupName"] for g in pages(client("autoscaling"), "describe_auto_scaling_groups", "AutoScalingGroups")])
ec2 = client("ec2")
networks = [v["VpcId"] for v in pages(ec2, "describe_vpcs", "Vpcs") if not v["IsDefault"]]
ours = [{"Name": "vpc-id", "Values": networks or ["none"]}]
add("launch templates", [t["LaunchTemplateName"] for t in pages(ec2, "describe_launch_templates", "LaunchTemplates")])
add("networks", networks)
add("subnets", [s["SubnetId"] for s in pages(ec2, "describe_subnets", "Subnets", Filters=ours)])
add("security groups", [g["GroupId"] for g in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=ours)])
add("endpoints", [e["VpcEndpointId"] for e in pages(ec2, "describe_vpc_endpoints", "VpcEndpoints") if e["State"] != "deleted"])
add("NAT gateways", [n["NatGatewayId"] for n in pages(ec2, "describe_nat_gateways", "NatGateways") if n["State"] != "deleted"])
add("addresses", [a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]])
add("instances", [i["InstanceId"] for r in pages(ec2, "describe_instances", "Reservations") for i in r["Instances"] if i["State"]["Name"] != "terminated"])
ecs = client("ecs")
for arn in pages(ecs, "list_clusters", "clusterArns"):
    if ecs.describe_clusters(clusters=[arn])["clusters"][0]["status"] != "INACTIVE":
        add("clusters", [arn.split("/")[-1]])
        add("services", [s.split("/")[-1] for s in pages(ecs, "list_services", "serviceArns", cluster=arn)])
add("task definitions", [t.split("/")[-1] for t in pages(ecs, "list_task_definitions", "taskDefinitionArns", status="ACTIVE")])
add("capacity providers", [p["name"] for p in ecs.describe_capacity_providers()["capacityProviders"] if not p["name"].startswith("FARGATE") and p["status"] == "ACTIVE"])
rds = client("rds")
add("databases", [c["DBClusterIdentifier"] for c in pages(rds, "describe_db_clusters", "DBClusters")])
add("database instances", [i["DBInstanceIdentifier"] for i in pages(rds, "describe_db_instances", "DBInstances")])
add("database snapshots", [s["DBClusterSnapshotIdentifier"] for s in pages(rds, "describe_db_cluster_snapshots", "DBClusterSnapshots") if s["SnapshotType"] == "manual"])
add("database subnet groups", [g["DBSubnetGroupName"] for g in pages(rds, "describe_db_subnet_groups", "DBSubnetGroups")])
add("database parameters", [g["DBClusterParameterGroupName"] for g in pages(rds, "describe_db_cluster_parameter_groups", "DBClusterParameterGroups") if not g["DBClusterParameterGroupName"].startswith("default.")])
add("file systems", [f["FileSystemId"] for f in pages(client("efs"), "describe_file_systems", "FileSystems")])
caches = client("elasticache")
add("caches", [g["ReplicationGroupId"] for g in pages(caches, "describe_replication_groups", "ReplicationGroups")])
add("cache parameters", [g["CacheParameterGroupName"] for g in pages(caches, "describe_cache_parameter_groups", "CacheParameterGroups") if not g["CacheParameterGroupName"].startswith("default.")])
add("cache subnet groups", [g["CacheSubnetGroupName"] for g in pages(caches, "describe_cache_subnet_groups", "CacheSubnetGroups") if g["CacheSubnetGroupName"] != "default"])
secrets = [s["Name"] for s in pages(client("secretsmanager"), "list_secrets", "SecretList", IncludePlannedDeletion=True)]
add("secrets", [name for name in secrets if not name.startswith("rds!")])
add("databases' own secrets", [name for name in secrets if name.startswith("rds!")])
for where in {region, second}:
    keys(where)
    add("vaults", [f"{where} {v['BackupVaultName']}" for v in pages(client("backup", where), "list_backup_vaults", "BackupVaultList")])
add("backup plans", [p["BackupPlanName"] for p in pages(client("backup"), "list_backup_plans", "BackupPlansList")])
add("buckets", [b["Name"] for b in client("s3").list_buckets()["Buckets"]])
add("lock tables", list(pages(client("dynamodb"), "list_tables", "TableNames")))
cdn = client("cloudfront")
add("distributions", [d["Id"] for d in cdn.list_distributions()["DistributionList"].get("Items", [])])
add("VPC origins", [o["Id"] for o in cdn.list_vpc_origins()["VpcOriginList"].get("Items", [])])
add("access controls of origins", [o["Id"] for o in cdn.list_origin_access_controls()["OriginAccessControlList"].get("Items", [])])
add("firewalls", [a["Name"] for a in client("wafv2", "us-east-1").list_web_acls(Scope="CLOUDFRONT")["WebACLs"]])
add("firewalls", [a["Name"] for a in client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]])
dns = client("route53")
for zone in pages(dns, "list_hosted_zones", "HostedZones"):
    add("DNS records", [f"{r['Name']} {r['Type']}" for r in pages(dns, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"]) if r["Type"] not in ("NS", "SOA")])
add("topics", [t["TopicArn"].split(":")[-1] for t in pages(client("sns"), "list_topics", "Topics")])
add("subscriptions", [s["Endpoint"] for s in pages(client("sns"), "list_subscriptions", "Subscriptions")])
add("event rules", [r["Name"] for r in pages(client("events"), "list_rules", "Rules")])
cloudwatch = client("cloudwatch")
add("dashboards", [d["DashboardName"] for d in pages(cloudwatch, "list_dashboards", "DashboardEntries")])
for page in cloudwatch.get_paginator("describe_alarms").paginate():
    add("alarms", [a["AlarmName"] for a in page.get("MetricAlarms", []) + page.get("CompositeAlarms", [])])
for space in ("ecs", "rds", "elasticache"):
    add("what scales", [t["ResourceId"] for t in pages(client("application-autoscaling"), "describe_scalable_targets", "ScalableTargets", ServiceNamespace=space)])

print(json.dumps({kind: sorted(names) for kind, names in sorted(found.items()) if names}, indent=1))
