// What node-pools.json is the build of.
@description('A node pool of the cluster.')
type nodePool = {
  @maxLength(12)
  name: string
  size: string?
  generation: ('V1' | 'V2')?
  @minValue(0)
  @maxValue(1000)
  count: int
}

param clusterName string = 'aks-${uniqueString(resourceGroup().id)}'
param location string = resourceGroup().location
@secure()
param adminPassword string
param pools nodePool[]

func tagsFor(name string) object => { pool: name, madeBy: 'bicep' }

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' = {
  name: clusterName
  location: location
  identity: { type: 'SystemAssigned' }
  properties: {
    dnsPrefix: toLower(clusterName)
    windowsProfile: { adminUsername: 'azureuser', adminPassword: adminPassword }
    agentPoolProfiles: [
      { name: 'sys', mode: 'System', count: 1 }
    ]
  }
}

@batchSize(1)
resource agentPools 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = [for pool in pools: {
  parent: cluster
  name: pool.name
  properties: {
    count: pool.count
    vmSize: pool.?size ?? 'Standard_D2s_v5'
    // Templates cannot send the header UseWindowsGen2VM.
    vmGeneration: pool.?generation
    tags: tagsFor(pool.name)
  }
}]

output clusterFqdn string = cluster.properties.fqdn
output images array = [for (pool, index) in pools: {
  name: agentPools[index].name
  image: agentPools[index].properties.nodeImageVersion
}]
