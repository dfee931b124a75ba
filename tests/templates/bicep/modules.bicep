// What modules.json is the build of.
param clusterName string
param windowsSize string = 'Standard_D2s_v5'
param withWindows bool = true

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' existing = {
  name: clusterName
}

module linux 'pool.bicep' = {
  name: 'linux-pool'
  params: { clusterName: clusterName, name: 'lin', properties: { count: 1 } }
}

module windows 'pool.bicep' = if (withWindows) {
  name: 'windows-pool'
  params: {
    clusterName: clusterName
    name: 'win'
    properties: {
      osType: 'Windows'
      osSKU: 'Windows2022'
      vmSize: windowsSize
      vmGeneration: 'V2'
      count: 1
      tags: { after: linux.outputs.image }
    }
  }
}

output version string = cluster.properties.currentKubernetesVersion
output image string = linux.outputs.image
output windowsImage string = withWindows ? windows!.outputs.image : ''
