"""moto_server with the gaps closed that a WordPress platform in Terraform meets.

python emulator.py -H 127.0.0.1 -p 5601     (same arguments as moto_server)

README.md beside this file says for which versions, and what is not emulated.
"""
import copy, json, re, sys, uuid
from moto.core.responses import ActionResult, EmptyResult

# --- Application Auto Scaling: tags (every provider read lists them)
from moto.applicationautoscaling import responses as aas
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend as AASB
R = aas.ApplicationAutoScalingResponse
def _aas_tags(self): return self.applicationautoscaling_backend.__dict__.setdefault("_tags", {})
def list_tags_for_resource(self): return json.dumps({"Tags": _aas_tags(self).get(self._get_param("ResourceARN"), {})})
def tag_resource(self):
    _aas_tags(self).setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags") or {}); return "{}"
def untag_resource(self):
    t = _aas_tags(self).get(self._get_param("ResourceARN"), {})
    for k in self._get_param("TagKeys") or []: t.pop(k, None)
    return "{}"
R.list_tags_for_resource, R.tag_resource, R.untag_resource = list_tags_for_resource, tag_resource, untag_resource
_reg = R.register_scalable_target
def register_scalable_target(self):
    out = _reg(self); tags = self._get_param("Tags")
    if tags: _aas_tags(self)[json.loads(out)["ScalableTargetARN"]] = dict(tags)
    return out
R.register_scalable_target = register_scalable_target

from enum import Enum
from moto.applicationautoscaling import models as aasm
def _grow(cls, **more): return Enum(cls.__name__, {**{m.name: m.value for m in cls}, **more})
NS = _grow(aasm.ServiceNamespaceValueSet, ELASTICACHE="elasticache")
SD = _grow(aasm.ScalableDimensionValueSet, EC_REPLICAS="elasticache:replication-group:Replicas", EC_NODE_GROUPS="elasticache:replication-group:NodeGroups")
for m in (aasm, aas): m.ServiceNamespaceValueSet, m.ScalableDimensionValueSet = NS, SD
_ok = aasm._target_params_are_valid
aasm._target_params_are_valid = lambda ns, r, d: True if ns == "elasticache" else _ok(ns, r, d)

# --- Backup: selections, tags on names with a colon path, deletion really deletes
from moto.backup import responses as bk, urls as bku
from moto.backup.exceptions import ResourceNotFoundException
B = bk.BackupResponse
def _sel(self): return self.backup_backend.__dict__.setdefault("_selections", {})
def create_backup_selection(self):
    pid = re.search(r"/plans/([^/]+)/selections", self.path).group(1); p = json.loads(self.body); sid = str(uuid.uuid4())
    _sel(self)[sid] = {"BackupSelection": p["BackupSelection"], "SelectionId": sid, "BackupPlanId": pid, "CreationDate": 1700000000, "CreatorRequestId": p.get("CreatorRequestId", "")}
    return json.dumps({"SelectionId": sid, "BackupPlanId": pid, "CreationDate": 1700000000})
def get_backup_selection(self):
    sid = self.path.rstrip("/").split("/")[-1]
    if sid not in _sel(self): raise ResourceNotFoundException(msg=f"Cannot find Backup selection {sid}")
    return json.dumps(_sel(self)[sid])
def delete_backup_selection(self): _sel(self).pop(self.path.rstrip("/").split("/")[-1], None); return EmptyResult()
def list_backup_selections(self):
    pid = re.search(r"/plans/([^/]+)/selections", self.path).group(1)
    return json.dumps({"BackupSelectionsList": [{"SelectionId": s["SelectionId"], "BackupPlanId": pid, "SelectionName": s["BackupSelection"]["SelectionName"], "IamRoleArn": s["BackupSelection"]["IamRoleArn"]} for s in _sel(self).values() if s["BackupPlanId"] == pid]})
B.create_backup_selection, B.get_backup_selection, B.delete_backup_selection, B.list_backup_selections = create_backup_selection, get_backup_selection, delete_backup_selection, list_backup_selections
def bk_list_tags(self):
    from urllib.parse import unquote
    arn = unquote(self.path).split("/tags/", 1)[1].rstrip("/")
    return json.dumps({"Tags": self.backup_backend.list_tags(resource_arn=arn)})
B.list_tags = bk_list_tags
_dbp = B.delete_backup_plan
def delete_backup_plan(self):
    out = _dbp(self); self.backup_backend.plans.pop(json.loads(out)["BackupPlanId"], None); return out
B.delete_backup_plan = delete_backup_plan
def update_backup_plan(self):
    pid = self.path.rstrip("/").split("/")[-1]; plan = self.backup_backend.get_backup_plan(pid, None)
    new = json.loads(self.body)["BackupPlan"]; plan.backup_plan = new
    for r in new.get("Rules", []): r.setdefault("RuleId", str(uuid.uuid4()))
    return json.dumps(dict(plan.to_dict()))
B.update_backup_plan = update_backup_plan

# --- EFS: backup policy
from moto.efs import responses as efs
def put_backup_policy(self):
    fs = self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")]
    pol = self._get_param("BackupPolicy") or json.loads(self.body)["BackupPolicy"]
    fs._backup = pol["Status"] == "ENABLED"
    return json.dumps({"BackupPolicy": pol}), {"Content-Type": "application/json"}
efs.EFSResponse.put_backup_policy = put_backup_policy
def describe_backup_policy(self):
    fs = self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")]
    return json.dumps({"BackupPolicy": {"Status": "ENABLED" if fs._backup else "DISABLED"}}), {"Content-Type": "application/json"}
efs.EFSResponse.describe_backup_policy = describe_backup_policy

def delete_file_system_policy(self):
    fs = self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")]
    for a in ("_file_system_policy", "file_system_policy", "_policy", "policy"):
        if a in fs.__dict__: setattr(fs, a, None)
    return "{}", {"Content-Type": "application/json"}
efs.EFSResponse.delete_file_system_policy = delete_file_system_policy
def list_recovery_points_by_backup_vault(self): return json.dumps({"RecoveryPoints": []})
B.list_recovery_points_by_backup_vault = list_recovery_points_by_backup_vault
bku.url_paths["{0}/backup-vaults/(?P<name>[^/]+)/recovery-points/?$"] = bku.response.dispatch

# --- ElastiCache: parameter groups, members of a replication group, modify, delete that deletes
from moto.elasticache import responses as ec, models as ecm
from moto.elasticache.exceptions import ReplicationGroupNotFound
from moto.core.exceptions import ServiceException
E = ec.ElastiCacheResponse
class PGNotFound(ServiceException):
    code = "CacheParameterGroupNotFound"; message = "CacheParameterGroup not found."
def _pgs(self): return self.elasticache_backend.__dict__.setdefault("_pgs", {})
def create_cache_parameter_group(self):
    n = self._get_param("CacheParameterGroupName"); b = self.elasticache_backend
    arn = f"arn:aws:elasticache:{self.region}:{self.current_account}:parametergroup:{n}"
    g = {"CacheParameterGroupName": n, "CacheParameterGroupFamily": self._get_param("CacheParameterGroupFamily"), "Description": self._get_param("Description"), "IsGlobal": False, "ARN": arn, "_p": {}}
    _pgs(self)[n] = g; b.tagging_service.tag_resource(arn, self._get_param("Tags", []) or [])
    return ActionResult({"CacheParameterGroup": {k: v for k, v in g.items() if k != "_p"}})
def describe_cache_parameter_groups(self):
    n = self._get_param("CacheParameterGroupName")
    if n and n not in _pgs(self): raise PGNotFound()
    return ActionResult({"CacheParameterGroups": [{k: v for k, v in g.items() if k != "_p"} for g in _pgs(self).values() if not n or g["CacheParameterGroupName"] == n]})
def modify_cache_parameter_group(self):
    g = _pgs(self)[self._get_param("CacheParameterGroupName")]
    for p in self._get_param("ParameterNameValues", []): g["_p"][p["ParameterName"]] = p["ParameterValue"]
    return ActionResult({"CacheParameterGroupName": g["CacheParameterGroupName"]})
def reset_cache_parameter_group(self):
    g = _pgs(self)[self._get_param("CacheParameterGroupName")]
    for p in self._get_param("ParameterNameValues", []): g["_p"].pop(p["ParameterName"], None)
    return ActionResult({"CacheParameterGroupName": g["CacheParameterGroupName"]})
def delete_cache_parameter_group(self): _pgs(self).pop(self._get_param("CacheParameterGroupName"), None); return EmptyResult()
def describe_cache_parameters(self):
    n = self._get_param("CacheParameterGroupName")
    if n not in _pgs(self): raise PGNotFound()
    return ActionResult({"Parameters": [{"ParameterName": k, "ParameterValue": v, "Source": "user", "IsModifiable": True} for k, v in _pgs(self)[n]["_p"].items()]})
for f in (create_cache_parameter_group, describe_cache_parameter_groups, modify_cache_parameter_group, reset_cache_parameter_group, delete_cache_parameter_group, describe_cache_parameters): setattr(E, f.__name__, f)

_crg = E.create_replication_group
def _node(rg, cid):
    c = copy.copy(rg.__dict__.get("_tmpl", {}))
    return {"CacheClusterId": cid, "CacheClusterStatus": "available", "Engine": rg.engine, "EngineVersion": c.get("version"), "CacheNodeType": rg.cache_node_type, "NumCacheNodes": 1,
            "ReplicationGroupId": rg.replication_group_id, "CacheSubnetGroupName": rg.cache_subnet_group_name, "PreferredMaintenanceWindow": rg.preferred_maintenance_window,
            "SecurityGroups": [{"SecurityGroupId": s, "Status": "active"} for s in (rg.security_group_ids or [])],
            "CacheParameterGroup": {"CacheParameterGroupName": rg.cache_parameter_group_name, "ParameterApplyStatus": "in-sync"},
            "SnapshotRetentionLimit": rg.snapshot_retention_limit, "SnapshotWindow": rg.snapshot_window, "AutoMinorVersionUpgrade": True,
            "AuthTokenEnabled": rg.auth_token_enabled, "TransitEncryptionEnabled": rg.transit_encryption_enabled, "TransitEncryptionMode": rg.transit_encryption_mode, "AtRestEncryptionEnabled": rg.at_rest_encryption_enabled,
            "ARN": f"arn:aws:elasticache:{c.get('region')}:{c.get('account')}:cluster:{cid}",
            "CacheNodes": [{"CacheNodeId": "0001", "CacheNodeStatus": "available", "Endpoint": {"Address": f"{cid}.cache.amazonaws.com", "Port": rg.port}}]}
def create_replication_group(self):
    b = self.elasticache_backend
    pg = self._get_param("CacheParameterGroupName") or ""
    g = _pgs(self).get(pg)
    clustered = bool(self._get_int_param("NumNodeGroups") and (("cluster.on" in pg) or (g and g["_p"].get("cluster-enabled") == "yes")))
    orig = self._get_param
    if clustered and not orig("ClusterMode"):
        self._get_param = lambda k, *a, **kw: "enabled" if k == "ClusterMode" else orig(k, *a, **kw)
    out = _crg(self); self.__dict__.pop("_get_param", None)
    rg = b.replication_groups[orig("ReplicationGroupId")]
    v = rg.engine_version or "7.1"
    rg._tmpl = {"version": v + ".0" if v.count(".") == 1 else v, "region": self.region, "account": self.current_account}
    b.tagging_service.tag_resource(rg.arn, orig("Tags", []) or [])
    if rg.port: rg.port = int(rg.port)
    return out
E.create_replication_group = create_replication_group
_dcc = E.describe_cache_clusters
def describe_cache_clusters(self):
    cid = self._get_param("CacheClusterId")
    for rg in self.elasticache_backend.replication_groups.values():
        if cid and cid in rg.member_clusters and rg.status != "deleted": return ActionResult({"CacheClusters": [_node(rg, cid)]})
    return _dcc(self)
E.describe_cache_clusters = describe_cache_clusters
def delete_replication_group(self):
    n = self._get_param("ReplicationGroupId"); b = self.elasticache_backend
    rg = b.replication_groups.pop(n, None)
    if rg is None: raise ReplicationGroupNotFound(n)
    rg.status = "deleting"; return ActionResult({"ReplicationGroup": rg})
E.delete_replication_group = delete_replication_group
def modify_replication_group(self):
    rg = self.elasticache_backend.describe_replication_groups(self._get_param("ReplicationGroupId"))[0]
    for k, a in {"ReplicationGroupDescription": "description", "CacheNodeType": "cache_node_type", "SnapshotWindow": "snapshot_window", "PreferredMaintenanceWindow": "preferred_maintenance_window", "CacheParameterGroupName": "cache_parameter_group_name"}.items():
        v = self._get_param(k)
        if v is not None: setattr(rg, a, v)
    v = self._get_int_param("SnapshotRetentionLimit")
    if v is not None: rg.snapshot_retention_limit = v
    v = self._get_param("EngineVersion")
    if v: rg._tmpl["version"] = v + ".0" if v.count(".") == 1 else v
    return ActionResult({"ReplicationGroup": rg})
E.modify_replication_group = modify_replication_group
def delete_cache_subnet_group(self):
    self.elasticache_backend.cache_subnet_groups.pop(self._get_param("CacheSubnetGroupName"), None); return EmptyResult()
E.delete_cache_subnet_group = delete_cache_subnet_group
_ei = ecm.ElastiCacheBackend.__init__
def ec_init(self, *a, **kw):
    _ei(self, *a, **kw)
    self.arn_regex = re.compile(r"^arn:aws:elasticache:.*:[0-9]*:(cluster|snapshot|subnetgroup|replicationgroup|user|parametergroup):.*$")
ecm.ElastiCacheBackend.__init__ = ec_init

# --- CloudFront: cache / origin-request / response-headers policies, what a distribution echoes
from moto.cloudfront import responses as cf, urls as cfu, models as cfm
C = cf.CloudFrontResponse
class NoSuch(ServiceException):
    code = "NoSuchCachePolicy"; message = "The cache policy does not exist."
def _pol(self): return self.backend.__dict__.setdefault("_policies", {})
def _mk(kind, what):
    cfg = f"{what}Config"
    def create(self):
        pid = str(uuid.uuid4()); p = {"Id": pid, "LastModifiedTime": "2026-01-01T00:00:00Z", cfg: self._get_param(cfg, {})}
        _pol(self)[pid] = p; return ActionResult({what: p, "ETag": "E1", "Location": pid})
    def get(self):
        p = _pol(self).get(self._get_param("Id"))
        if not p:
            e = NoSuch(); e.code = f"NoSuch{what}"; raise e
        return ActionResult({what: p, "ETag": "E1"})
    def update(self):
        p = _pol(self)[self._get_param("Id")]; p[cfg] = self._get_param(cfg, {}); return ActionResult({what: p, "ETag": "E1"})
    def delete(self): _pol(self).pop(self._get_param("Id"), None); return EmptyResult()
    s = kind.replace("-", "_")
    setattr(C, f"create_{s}", create); setattr(C, f"get_{s}", get); setattr(C, f"update_{s}", update); setattr(C, f"delete_{s}", delete)
    cfu.url_paths["{0}/2020-05-31/%s$" % kind] = C.dispatch
    cfu.url_paths["{0}/2020-05-31/%s/(?P<policy_id>[^/]+)$" % kind] = C.dispatch
for kind, what in (("cache-policy", "CachePolicy"), ("origin-request-policy", "OriginRequestPolicy"), ("response-headers-policy", "ResponseHeadersPolicy")): _mk(kind, what)
_dcb = cfm.DefaultCacheBehaviour.__init__
def dcb_init(self, config):
    had = "ForwardedValues" in config
    _dcb(self, config)
    if not had and config.get("CachePolicyId"): self.forwarded_values = None
cfm.DefaultCacheBehaviour.__init__ = dcb_init
_or = cfm.Origin.__init__
def or_init(self, origin): _or(self, origin); self.origin_access_control_id = origin.get("OriginAccessControlId") or ""
cfm.Origin.__init__ = or_init
_vc = cfm.ViewerCertificate.__init__
def vc_init(self, config):
    _vc(self, config)
    if config.get("ACMCertificateArn"): self.cloud_front_default_certificate = False
cfm.ViewerCertificate.__init__ = vc_init

# --- EC2: launch-template tags stay out of the template data; descriptions of group-to-group rules
from moto.ec2.responses import launch_templates as lt
_clt = lt.LaunchTemplates.create_launch_template
def create_launch_template(self):
    out = _clt(self)
    for t in self.ec2_backend.launch_templates.values():
        for v in t.versions:
            d = v.data
            if d.get("TagSpecifications"): d["TagSpecifications"] = [x for x in d["TagSpecifications"] if x.get("ResourceType") != "launch-template"]
            if not d.get("TagSpecifications"): d.pop("TagSpecifications", None)
    return out
lt.LaunchTemplates.create_launch_template = create_launch_template
from moto.ec2.models import security_groups as sg
sg.SecurityGroupRule.description = property(lambda self: self.ip_range.get("Description") or (self.source_group or {}).get("Description"))

# --- RDS: Performance Insights
from moto.rds import models as rds
_dbi = rds.DBInstance.__init__
def dbi_init(self, *a, **kw):
    _dbi(self, *a, **kw)
    if str(kw.get("enable_performance_insights")).lower() == "true": self.performance_insights_enabled = True; self.performance_insights_retention_period = 7; self.performance_insights_kms_key_id = kw.get("performance_insights_kms_key_id")
    if kw.get("monitoring_interval"): self.monitoring_interval = int(kw["monitoring_interval"]); self.monitoring_role_arn = kw.get("monitoring_role_arn")
rds.DBInstance.__init__ = dbi_init
_sci = rds.DBCluster.scaling_configuration_info
rds.DBCluster.scaling_configuration_info = property(lambda self: _sci.fget(self) if self.scaling_configuration else None)

# --- CloudWatch composite alarms
from moto.cloudwatch import responses as cw
cw.CloudWatchResponse.put_composite_alarm = cw.CloudWatchResponse.put_metric_alarm

# --- ECS: what a service echoes
from moto.ecs import responses as ecs
S = ecs.EC2ContainerServiceResponse
KEEP = {"capacityProviderStrategy": "capacity_provider_strategy", "placementStrategy": "placement_strategy", "placementConstraints": "placement_constraints",
        "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds", "enableECSManagedTags": "enable_ecs_managed_tags", "enableExecuteCommand": "enable_execute_command",
        "deploymentConfiguration": "deployment_configuration", "availabilityZoneRebalancing": "availability_zone_rebalancing", "propagateTags": "propagate_tags"}
def _keep(self, svc):
    for k, a in KEEP.items():
        v = self._get_param(k)
        if v is not None: setattr(svc, a, v)
    if self._get_param("capacityProviderStrategy"):
        svc.launch_type = None
        for d in svc.deployments:
            d.pop("launchType", None); d["capacityProviderStrategy"] = svc.capacity_provider_strategy
_cs, _us = S.create_service, S.update_service
def create_service(self):
    _cs(self); c = self._get_param("cluster", "default").split("/")[-1]
    svc = self.ecs_backend.services[f"{c}:{self._get_param('serviceName')}"]; _keep(self, svc)
    return ActionResult({"service": svc})
def update_service(self):
    c = self._get_param("cluster", "default").split("/")[-1]
    svc = self.ecs_backend.services[f"{c}:{self._get_param('service').split('/')[-1]}"]
    before = copy.deepcopy(getattr(svc, "deployment_configuration", None)) or {}
    _us(self); _keep(self, svc)
    # What an update does not name stays: the provider sends the changed half alone.
    if self._get_param("deploymentConfiguration"): svc.deployment_configuration = {**before, **self._get_param("deploymentConfiguration")}
    return ActionResult({"service": svc})
S.create_service, S.update_service = create_service, update_service

# --- ECS run-task on a capacity provider: no container instances here, run it as if placed; the dump API and RDS
_rt = S.run_task
def run_task(self):
    g = self._get_param
    if g("capacityProviderStrategy") or g("launchType") == "EC2":
        self._get_param = lambda k, *a, **kw: "FARGATE" if k == "launchType" else g(k, *a, **kw)
    try: return _rt(self)
    finally: self.__dict__.pop("_get_param", None)
S.run_task = run_task
for c in (rds.DBCluster, rds.DBInstance):
    p = c.__dict__.get("master_user_password")
    if isinstance(p, property) and p.fset: setattr(c, "master_user_password", property(lambda self: "********", p.fset))

# --- CloudFront VPC origins, and what a distribution echoes of them
class NoSuchVpcOrigin(ServiceException):
    code = "EntityNotFound"; message = "The VPC origin does not exist."; status_code = 404
def _vpc_origins(self): return self.backend.__dict__.setdefault("_vpc_origins", {})
def _vpc_origin(self):
    found = _vpc_origins(self).get(self._get_param("Id"))
    if not found: raise NoSuchVpcOrigin()
    return found
def create_vpc_origin(self):
    oid = "vo_" + uuid.uuid4().hex[:22]; now = "2026-01-01T00:00:00Z"
    arn = f"arn:aws:cloudfront::{self.current_account}:vpcorigin/{oid}"
    _vpc_origins(self)[oid] = o = {"Id": oid, "Arn": arn, "AccountId": self.current_account, "Status": "Deployed", "CreatedTime": now, "LastModifiedTime": now, "VpcOriginEndpointConfig": self._get_param("VpcOriginEndpointConfig", {})}
    self.backend.tagger.tag_resource(arn, (self._get_param("Tags", {}) or {}).get("Items", []))
    return ActionResult({"VpcOrigin": o, "ETag": "E1", "Location": oid})
def get_vpc_origin(self): return ActionResult({"VpcOrigin": _vpc_origin(self), "ETag": "E1"})
def update_vpc_origin(self):
    o = _vpc_origin(self); o["VpcOriginEndpointConfig"] = self._get_param("VpcOriginEndpointConfig", {})
    return ActionResult({"VpcOrigin": o, "ETag": "E1"})
def delete_vpc_origin(self):
    o = _vpc_origin(self); del _vpc_origins(self)[o["Id"]]
    return ActionResult({"VpcOrigin": o, "ETag": "E1"})
def list_vpc_origins(self):
    items = [{k: o[k] for k in ("Id", "Status", "CreatedTime", "LastModifiedTime", "Arn", "AccountId")} | {"Name": o["VpcOriginEndpointConfig"].get("Name"), "OriginEndpointArn": o["VpcOriginEndpointConfig"].get("Arn")} for o in _vpc_origins(self).values()]
    return ActionResult({"VpcOriginList": {"Marker": "", "MaxItems": 100, "IsTruncated": False, "Quantity": len(items), "Items": items}})
for f in (create_vpc_origin, get_vpc_origin, update_vpc_origin, delete_vpc_origin, list_vpc_origins): setattr(C, f.__name__, f)
cfu.url_paths["{0}/2020-05-31/vpc-origin$"] = C.dispatch
cfu.url_paths["{0}/2020-05-31/vpc-origin/(?P<vpc_origin_id>[^/]+)$"] = C.dispatch
_or2 = cfm.Origin.__init__
def or_vpc_init(self, origin):
    _or2(self, origin)
    if origin.get("VpcOriginConfig"): self.vpc_origin_config = origin["VpcOriginConfig"]
cfm.Origin.__init__ = or_vpc_init

# --- ElastiCache: nodes of a group without cluster mode, number of replicas, token
_rgi = ecm.ReplicationGroup.__init__
def rg_init(self, *a, **kw):
    if kw.get("cluster_mode") != "enabled" and kw.get("num_cache_clusters") and not kw.get("replicas_per_node_group"):
        kw["replicas_per_node_group"] = kw["num_cache_clusters"] - 1
    _rgi(self, *a, **kw)
ecm.ReplicationGroup.__init__ = rg_init
def _set_replicas(rg, n):
    group = rg.node_groups[0]; members = group["node_group_members"]
    stem = rg.replication_group_id + ("-0001" if rg.cluster_mode == "enabled" else "")
    del members[1 + n:]
    while len(members) < 1 + n:
        m = copy.deepcopy(members[0]); m["cache_cluster_id"] = f"{stem}-{len(members) + 1:0>3}"
        if "current_role" in m: m["current_role"] = "replica"
        members.append(m)
    rg.member_clusters = [m["cache_cluster_id"] for m in members]
def _change_replicas(self):
    rg = self.elasticache_backend.describe_replication_groups(self._get_param("ReplicationGroupId"))[0]
    n = self._get_int_param("NewReplicaCount")
    _set_replicas(rg, n)
    return ActionResult({"ReplicationGroup": rg})
E.increase_replica_count = E.decrease_replica_count = _change_replicas
_mrg = E.modify_replication_group
def modify_replication_group2(self):
    rg = self.elasticache_backend.describe_replication_groups(self._get_param("ReplicationGroupId"))[0]
    for k, a in {"AutomaticFailoverEnabled": "automatic_failover", "MultiAZEnabled": "multi_az"}.items():
        v = self._get_param(k)
        if v is not None: setattr(rg, a, "enabled" if str(v).lower() == "true" else "disabled")
    if self._get_param("AuthToken"): rg.auth_token_enabled = True
    return _mrg(self)
E.modify_replication_group = modify_replication_group2

# --- S3: a policy's statement whose condition does not hold says nothing (moto takes it as a denial).
# The caller counts as one that came by TLS, as every caller of AWS does.
from moto.s3.models import FakeBucket
def _get_permission(self, action, resource):
    from moto.iam.access_control import IAMPolicy, PermissionResult
    if self.policy is None: return PermissionResult.NEUTRAL
    policy = json.loads(self.policy.decode())
    policy["Statement"] = [st for st in policy["Statement"] if not st.get("Condition")]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource) if policy["Statement"] else PermissionResult.NEUTRAL
FakeBucket.get_permission = _get_permission

# --- ECS: the account's default is its setting
from moto.ecs.responses import EC2ContainerServiceResponse as _ECS
_ECS.put_account_setting_default = _ECS.put_account_setting

# A list of all nodes holds those of replication groups too: the provider waits for them there.
_dcc2 = E.describe_cache_clusters
def describe_all_cache_clusters(self):
    if self._get_param("CacheClusterId"): return _dcc2(self)
    nodes = [_node(rg, cid) for rg in self.elasticache_backend.replication_groups.values() if rg.status != "deleted" for cid in rg.member_clusters]
    return ActionResult({"CacheClusters": nodes + list(self.elasticache_backend.cache_clusters.values())})
E.describe_cache_clusters = describe_all_cache_clusters

# --- EC2: descriptions of rules that name a prefix list
_sgr = sg.SecurityGroupRule.__init__
def sgr_init(self, *a, **kw):
    _sgr(self, *a, **kw)
    given = kw.get("prefix_list_id") or next((x for x in a if isinstance(x, dict) and "PrefixListId" in x), None)
    self._prefix_list_description = (given or {}).get("Description")
sg.SecurityGroupRule.__init__ = sgr_init
_rule_description = sg.SecurityGroupRule.description.fget
sg.SecurityGroupRule.description = property(lambda self: _rule_description(self) or self._prefix_list_description)

# --- Auto Scaling: the warm-up of a group
from moto.autoscaling import responses as asr
A = asr.AutoScalingResponse
def _with_warmup(action):
    def call(self):
        out = action(self); warmup = self._get_int_param("DefaultInstanceWarmup")
        if warmup is not None: self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")].default_instance_warmup = warmup
        return out
    return call
A.create_auto_scaling_group, A.update_auto_scaling_group = _with_warmup(A.create_auto_scaling_group), _with_warmup(A.update_auto_scaling_group)

# --- Auto Scaling: instance refreshes. One step a look: pending, half done, done; then every instance
# has the image of the group's launch template.
def _refreshes(self): return self.autoscaling_backend.__dict__.setdefault("_refreshes", {}).setdefault(self._get_param("AutoScalingGroupName"), [])
def start_instance_refresh(self):
    name = self._get_param("AutoScalingGroupName"); all_ = _refreshes(self)
    r = {"InstanceRefreshId": str(uuid.uuid4()), "AutoScalingGroupName": name, "Status": "Pending", "PercentageComplete": 0,
         "InstancesToUpdate": len(self.autoscaling_backend.autoscaling_groups[name].instance_states)}
    all_.insert(0, r); return ActionResult({"InstanceRefreshId": r["InstanceRefreshId"]})
def describe_instance_refreshes(self):
    all_ = _refreshes(self); now = copy.deepcopy(all_)
    if all_ and all_[0]["Status"] in ("Pending", "InProgress"):
        r = all_[0]
        if r["Status"] == "Pending": r.update(Status="InProgress", PercentageComplete=50, StatusReason="Waiting for instances to warm up")
        else:
            group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
            for state in group.instance_states: state.instance.image_id = group.image_id
            r.update(Status="Successful", PercentageComplete=100, InstancesToUpdate=0, StatusReason="")
    return ActionResult({"InstanceRefreshes": now[: self._get_int_param("MaxRecords") or 50]})
def cancel_instance_refresh(self):
    r = _refreshes(self)[0]; r["Status"] = "Cancelled"; return ActionResult({"InstanceRefreshId": r["InstanceRefreshId"]})
A.start_instance_refresh, A.describe_instance_refreshes, A.cancel_instance_refresh = start_instance_refresh, describe_instance_refreshes, cancel_instance_refresh

# --- ECS: a question for capacity providers that names none means all
from moto.ecs.models import EC2ContainerServiceBackend as _ECSB
_dcps = _ECSB.describe_capacity_providers
_ECSB.describe_capacity_providers = lambda self, names: _dcps(self, names or list(self.capacity_providers))

if __name__ == "__main__":
    from moto.server import main
    main(sys.argv[1:])
