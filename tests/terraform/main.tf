terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
    }
  }
}

# Where the service is, and who asks, is in ARM_ variables: docs/clients.md.
provider "azurerm" {
  features {}
}

variable "system_size" {
  default = "Standard_D2s_v5"
}

variable "linux_size" {
  default = "Standard_D2s_v3"
}

variable "linux_count" {
  default = 1
}

variable "windows_surge" {
  default = "10%"
}

variable "windows_taints" {
  type    = list(string)
  default = []
}

resource "azurerm_resource_group" "rg" {
  name     = "rg"
  location = "eastus"
}

resource "azurerm_kubernetes_cluster" "c1" {
  name                = "c1"
  location            = azurerm_resource_group.rg.location
  resource_group_name = azurerm_resource_group.rg.name
  dns_prefix          = "c1"
  sku_tier            = "Standard"
  tags                = { team = "a" }

  default_node_pool {
    name                        = "system"
    vm_size                     = var.system_size
    node_count                  = 1
    temporary_name_for_rotation = "systmp"
    upgrade_settings {
      max_surge = "10%"
    }
  }

  node_provisioning_profile {
    mode = "Manual"
  }

  identity {
    type = "SystemAssigned"
  }

  network_profile {
    network_plugin = "azure"
  }

  windows_profile {
    admin_username = "azureuser"
    admin_password = "Only-4-this-test!"
  }

  auto_scaler_profile {
    expander = "least-waste"
  }

  maintenance_window_node_os {
    frequency   = "Weekly"
    interval    = 1
    duration    = 4
    day_of_week = "Saturday"
    start_time  = "03:00"
    utc_offset  = "+00:00"
  }
}

resource "azurerm_kubernetes_cluster_node_pool" "linux" {
  name                        = "linux"
  kubernetes_cluster_id       = azurerm_kubernetes_cluster.c1.id
  vm_size                     = var.linux_size
  node_count                  = var.linux_count
  node_labels                 = { team = "a" }
  temporary_name_for_rotation = "linuxtmp"
  upgrade_settings {
    max_surge                     = "33%"
    drain_timeout_in_minutes      = 10
    node_soak_duration_in_minutes = 0
  }
}

resource "azurerm_kubernetes_cluster_node_pool" "windows" {
  name                  = "win"
  kubernetes_cluster_id = azurerm_kubernetes_cluster.c1.id
  vm_size               = "Standard_D2s_v5"
  os_type               = "Windows"
  os_sku                = "Windows2022"
  auto_scaling_enabled  = true
  min_count             = 1
  max_count             = 3
  node_taints           = var.windows_taints
  upgrade_settings {
    max_surge = var.windows_surge
  }
}

# The settings of upgrades cannot be those of spot machines, which have none.
resource "azurerm_kubernetes_cluster_node_pool" "spot" {
  name                  = "spot"
  kubernetes_cluster_id = azurerm_kubernetes_cluster.c1.id
  vm_size               = "Standard_D2s_v5"
  os_sku                = "AzureLinux"
  os_disk_type          = "Ephemeral"
  os_disk_size_gb       = 50
  max_pods              = 60
  zones                 = ["1", "2"]
  priority              = "Spot"
  eviction_policy       = "Delete"
  spot_max_price        = -1
  node_count            = 1
  node_labels           = { "kubernetes.azure.com/scalesetpriority" = "spot" }
  node_taints           = ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"]

  kubelet_config {
    cpu_manager_policy = "static"
  }

  linux_os_config {
    swap_file_size_mb = 1500
    sysctl_config {
      vm_swappiness = 10
    }
  }
}

data "azurerm_client_config" "me" {}

data "azurerm_kubernetes_service_versions" "eastus" {
  location = "eastus"
}

resource "azurerm_role_assignment" "me" {
  scope                = azurerm_kubernetes_cluster.c1.id
  role_definition_name = "Azure Kubernetes Service Contributor Role"
  principal_id         = data.azurerm_client_config.me.object_id
}

output "newest_version" {
  value = data.azurerm_kubernetes_service_versions.eastus.latest_version
}

output "kubernetes" {
  value     = azurerm_kubernetes_cluster.c1.kube_config[0].host
  sensitive = true
}
