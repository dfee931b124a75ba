// The service of this test has CLUSTERS clusters, which are more than fit a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ContainerServiceClient } from "@azure/arm-containerservice";
import { EnvironmentCredential } from "@azure/identity";

const { POOLWRIGHT_ENDPOINT, AZURE_SUBSCRIPTION_ID, CLUSTERS } = process.env;

test("lists are followed page by page, with the credential of the environment", async () => {
  const credential = new EnvironmentCredential({ authorityHost: POOLWRIGHT_ENDPOINT, disableInstanceDiscovery: true });
  const client = new ContainerServiceClient(credential, AZURE_SUBSCRIPTION_ID, { endpoint: POOLWRIGHT_ENDPOINT });
  const pages = [];
  for await (const page of client.managedClusters.list().byPage()) pages.push(page.map((one) => one.name));
  assert.equal(pages.length, 2);
  assert.equal(new Set(pages.flat()).size, Number(CLUSTERS));
  const found = [];
  for await (const one of client.managedClusters.listByResourceGroup("rg")) found.push(one.name);
  assert.deepEqual(found, pages.flat());
});
