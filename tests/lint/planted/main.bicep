// Faults planted for tests/lint. main.json is written by hand in the form in which bicep prints this.
param location string = 'westeurope'
param linuxSize string = 'Standard_D4s_v5'
param batchSize string

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' = {
  name: 'aks-planted'
  location: location
  properties: {
    kubernetesVersion: '1.33'
    windowsProfile: { adminUsername: 'azureuser' }
    agentPoolProfiles: [
      { name: 'sys', mode: 'System', count: 3, vmSize: linuxSize }
    ]
  }
}

resource win 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'win'
  properties: { osType: 'Windows', osSKU: 'Windows2022', vmSize: 'Standard_D4ads_v6' }
}

resource trusted 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'trusted'
  properties: { vmSize: 'Standard_D4_v3', securityProfile: { enableVTPM: true, enableSecureBoot: true } }
}

resource batch 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'batch'
  properties: { vmSize: batchSize }
}

module more 'more.bicep' = {
  name: 'more'
  params: { clusterName: cluster.name, size: 'Standard_NC6s_v3' }
}
