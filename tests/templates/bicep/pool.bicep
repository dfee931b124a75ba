// The module of modules.bicep.
param clusterName string
param name string
param properties object

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' existing = {
  name: clusterName
}

resource pool 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: name
  properties: properties
}

output image string = pool.properties.nodeImageVersion
