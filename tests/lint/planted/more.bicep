// The module of main.bicep.
param clusterName string
param size string

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' existing = {
  name: clusterName
}

resource gpu 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'gpu'
  properties: { vmSize: size }
}
