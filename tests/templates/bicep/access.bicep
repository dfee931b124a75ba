// access.json is written by hand in the form in which bicep builds this.
param clusterName string
param principalId string
param roleId string
param location string = resourceGroup().location

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' = {
  name: clusterName
  location: location
  properties: {
    dnsPrefix: clusterName
    agentPoolProfiles: [
      { name: 'sys', mode: 'System', count: 1 }
    ]
  }
}

resource pool 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'np1'
  properties: { count: 1, vmSize: 'Standard_D2s_v5', vmGeneration: 'V1' }
}

resource weekly 'Microsoft.ContainerService/managedClusters/maintenanceConfigurations@2025-10-01' = {
  parent: cluster
  name: 'default'
  properties: {
    timeInWeek: [
      { day: 'Monday', hourSlots: [ 1, 2 ] }
    ]
  }
}

resource taken 'Microsoft.ContainerService/snapshots@2025-10-01' = {
  name: 'taken'
  location: location
  tags: { from: 'np1' }
  properties: { creationData: { sourceResourceId: pool.id } }
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(cluster.id, principalId, roleId)
  scope: cluster
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output assignmentId string = access.id
output heldBy string = access.properties.principalId
output image string = taken.properties.nodeImageVersion
output days array = weekly.properties.timeInWeek
