// What subscription.json is the build of.
targetScope = 'subscription'

param groupName string
@secure()
param adminPassword string

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: groupName
  location: deployment().location
  tags: { made: 'by bicep' }
}

module aks 'cluster.bicep' = {
  name: 'aks'
  scope: group
  params: { name: 'aks-${groupName}', adminPassword: adminPassword }
}

output clusterId string = aks.outputs.id
output fqdn string = aks.outputs.fqdn
