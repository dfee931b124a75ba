// The module of subscription.bicep.
param name string
param location string = resourceGroup().location
@secure()
param adminPassword string

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' = {
  name: name
  location: location
  properties: {
    dnsPrefix: name
    windowsProfile: { adminUsername: 'azureuser', adminPassword: adminPassword }
    agentPoolProfiles: [
      { name: 'sys', mode: 'System', count: 1 }
    ]
  }
}

output id string = cluster.id
output fqdn string = cluster.properties.fqdn
