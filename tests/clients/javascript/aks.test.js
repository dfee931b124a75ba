// @azure/arm-containerservice and @azure/identity, unmodified, as their users write it. The tests go on from each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ContainerServiceClient } from "@azure/arm-containerservice";
import { ClientSecretCredential } from "@azure/identity";

const { POOLWRIGHT_ENDPOINT, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_SUBSCRIPTION_ID } = process.env;
const V1_ONLY = "Standard_D2_v3", BOTH = "Standard_D2s_v5", ALSO_BOTH = "Standard_D4s_v5";
const WINDOWS = { osType: "Windows", osSKU: "Windows2022", count: 1 };
const QUICKLY = { updateIntervalInMs: 200 };

const login = (secret) => new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, secret, {
  authorityHost: POOLWRIGHT_ENDPOINT,
  disableInstanceDiscovery: true,
});
const clientOf = (credential) =>
  new ContainerServiceClient(credential, AZURE_SUBSCRIPTION_ID, { endpoint: POOLWRIGHT_ENDPOINT });
const client = clientOf(login(AZURE_CLIENT_SECRET));
const put = (name, pool, options = {}) =>
  client.agentPools.beginCreateOrUpdateAndWait("rg", "c1", name, pool, { ...QUICKLY, ...options });
const all = async (pages) => {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
};
const names = async (pages) => (await all(pages)).map((one) => one.name).sort();
const refused = (statusCode, code, message) => (error) => {
  assert.equal(error.name, "RestError");
  assert.deepEqual([error.statusCode, error.code], [statusCode, code]);
  assert.match(error.message, message);
  return true;
};
// What the SDK does not know of is in the reply all the same.
const blocks = async (get) => {
  let body;
  await get({ onResponse: (reply) => { body = reply.parsedBody; } });
  return body;
};

test("a wrong secret is an authentication error with Azure's code", async () => {
  await assert.rejects(clientOf(login("wrong")).managedClusters.get("rg", "c1"), /AADSTS7000215/);
});

test("a cluster is created and read", async () => {
  const poller = client.managedClusters.createOrUpdate("rg", "c1", {
    location: "eastus",
    dnsPrefix: "c1",
    identity: { type: "SystemAssigned" },
    agentPoolProfiles: [{ name: "sys", mode: "System", count: 1, vmSize: BOTH }],
  }, QUICKLY);
  const made = await poller.pollUntilDone();
  assert.equal(poller.operationState.status, "succeeded");
  assert.equal(made.provisioningState, "Succeeded");
  const found = await client.managedClusters.get("rg", "c1");
  assert.equal(found.servicePrincipalProfile.clientId, "msi");
  assert.ok(found.identity.principalId);
  assert.deepEqual(found.agentPoolProfiles.map((pool) => pool.name), ["sys"]);
  assert.deepEqual(await names(client.managedClusters.listByResourceGroup("rg")), ["c1"]);
});

test("a custom header asks for Generation 2, and later requests without it keep that", async () => {
  const plain = await put("win1", { ...WINDOWS, vmSize: BOTH });
  assert.match(plain.nodeImageVersion, /^AKSWindows-2022-containerd-20348/);
  const headers = { UseWindowsGen2VM: "true" };
  const made = await put("win2", { ...WINDOWS, vmSize: BOTH }, { requestOptions: { headers } });
  assert.match(made.nodeImageVersion, /^AKSWindows-2022-containerd-gen2-/);
  const scaled = await put("win2", { ...(await client.agentPools.get("rg", "c1", "win2")), count: 2 });
  assert.equal(scaled.count, 2);
  assert.equal(scaled.nodeImageVersion, made.nodeImageVersion);
  assert.deepEqual(await names(client.agentPools.list("rg", "c1")), ["sys", "win1", "win2"]);
});

test("another size takes a node pool from Generation 1 to Generation 2 in place", async () => {
  const before = await put("lin1", { osType: "Linux", vmSize: V1_ONLY, count: 3 });
  assert.match(before.nodeImageVersion, /^AKSUbuntu-2404containerd-/);
  const old = await names(client.machines.list("rg", "c1", "lin1"));
  const after = await put("lin1", { ...before, vmSize: BOTH });
  assert.equal(after.vmSize, BOTH);
  assert.match(after.nodeImageVersion, /^AKSUbuntu-2404gen2containerd-/);
  const machines = await all(client.machines.list("rg", "c1", "lin1"));
  assert.equal(machines.length, 3);
  assert.ok(machines.every((machine) => !old.includes(machine.name)));
  const [{ name }] = machines;
  const machine = await blocks((options) => client.machines.get("rg", "c1", "lin1", name, options));
  assert.equal(machine.properties.poolwright.observedGeneration, "V2");
});

test("the node image is upgraded, and the upgrade profiles say what there is", async () => {
  const profile = await client.agentPools.getUpgradeProfile("rg", "c1", "lin1");
  assert.ok(profile.latestNodeImageVersion);
  await client.agentPools.beginUpgradeNodeImageVersionAndWait("rg", "c1", "lin1", QUICKLY);
  const pool = await client.agentPools.get("rg", "c1", "lin1");
  assert.deepEqual([pool.nodeImageVersion, pool.provisioningState], [profile.latestNodeImageVersion, "Succeeded"]);
  const cluster = await client.managedClusters.getUpgradeProfile("rg", "c1");
  assert.ok(cluster.controlPlaneProfile.upgrades.length > 0);
  const versions = await client.agentPools.getAvailableAgentPoolVersions("rg", "c1");
  assert.ok(versions.agentPoolVersions.some((version) => version.default));
  const { values } = await client.managedClusters.listKubernetesVersions("eastus");
  assert.equal(values.filter((version) => version.isDefault).length, 1);
});

// The fault `slow`, which the service of this test has, holds the first wave of a node pool of that name.
test("an operation is aborted, and its poller says canceled", async () => {
  await put("slow", { osType: "Linux", vmSize: V1_ONLY, count: 1 });
  const poller = client.agentPools.createOrUpdate("rg", "c1", "slow", { osType: "Linux", vmSize: BOTH, count: 1 }, QUICKLY);
  await poller.poll();
  await client.agentPools.beginAbortLatestOperationAndWait("rg", "c1", "slow", QUICKLY);
  await assert.rejects(poller.pollUntilDone(), /cancel/i);
  const pool = await client.agentPools.get("rg", "c1", "slow");
  assert.equal(pool.provisioningState, "Canceled");
});

test("snapshots are taken, listed and used", async () => {
  const { id, nodeImageVersion } = await client.agentPools.get("rg", "c1", "win2");
  const taken = await client.snapshots.createOrUpdate("rg", "snap", {
    location: "eastus",
    creationData: { sourceResourceId: id },
  });
  assert.equal(taken.nodeImageVersion, nodeImageVersion);
  assert.deepEqual(await names(client.snapshots.list()), ["snap"]);
  const copy = await put("win3", { ...WINDOWS, vmSize: ALSO_BOTH, creationData: { sourceResourceId: taken.id } });
  assert.equal(copy.nodeImageVersion, nodeImageVersion);
  await client.snapshots.delete("rg", "snap");
  assert.deepEqual(await names(client.snapshots.listByResourceGroup("rg")), []);
});

test("maintenance configurations come back as they were sent", async () => {
  const window = {
    schedule: { weekly: { intervalWeeks: 2, dayOfWeek: "Monday" } },
    durationHours: 4,
    startTime: "03:00",
  };
  const name = "aksManagedNodeOSUpgradeSchedule";
  const made = await client.maintenanceConfigurations.createOrUpdate("rg", "c1", name, { maintenanceWindow: window });
  assert.deepEqual(made.maintenanceWindow.schedule.weekly, window.schedule.weekly);
  assert.deepEqual(await names(client.maintenanceConfigurations.listByManagedCluster("rg", "c1")), [name]);
  await client.maintenanceConfigurations.delete("rg", "c1", name);
});

test("refusals and failures are RestErrors with Azure's codes and messages", async () => {
  await assert.rejects(client.agentPools.get("rg", "c1", "none"), refused(404, "AgentPoolNotFound", /'none' was not found/));
  await assert.rejects(client.managedClusters.get("none", "c1"), refused(404, "ResourceGroupNotFound", /'none' could not/));
  await assert.rejects(put("BadName", { vmSize: BOTH }), refused(400, "InvalidParameter", /BadName/));
  const gen2 = { requestOptions: { headers: { UseWindowsGen2VM: "true" } } };
  await assert.rejects(
    put("win4", { ...WINDOWS, vmSize: V1_ONLY }, gen2),
    refused(400, "UnsupportedGen2VMSize", /Standard_D2_v3.*Hypervisor Generation V1/),
  );
  const etag = { ...QUICKLY, ifMatch: '"not-this-one"' };
  await assert.rejects(put("lin1", { vmSize: BOTH, count: 3 }, etag), (error) => error.statusCode === 412);
  await assert.rejects(
    client.managedClusters.beginRotateClusterCertificatesAndWait("rg", "c1"),
    refused(400, "OperationNotOffered", /RotateClusterCertificates/),
  );
});

test("machines and node pools are deleted, also when they are gone", async () => {
  const [{ name }] = await all(client.machines.list("rg", "c1", "lin1"));
  await client.agentPools.beginDeleteMachinesAndWait("rg", "c1", "lin1", { machineNames: [name] }, QUICKLY);
  assert.ok(!(await names(client.machines.list("rg", "c1", "lin1"))).includes(name));
  await client.agentPools.beginDeleteAndWait("rg", "c1", "win1", QUICKLY);
  await client.agentPools.beginDeleteAndWait("rg", "c1", "win1", QUICKLY);
  assert.ok(!(await names(client.agentPools.list("rg", "c1"))).includes("win1"));
  await client.managedClusters.beginDeleteAndWait("rg", "c1", QUICKLY);
  assert.deepEqual(await names(client.managedClusters.list()), []);
});
