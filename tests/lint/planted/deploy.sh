#!/usr/bin/env bash
set -euo pipefail
GROUP=rg-planted
CLUSTER=aks-planted
WIN_SIZE=Standard_D4ads_v6
WINDOWS=(--os-type Windows --os-sku Windows2022)

# az aks nodepool add --name comment --node-vm-size Standard_D2_v2
az aks create --resource-group "$GROUP" --name "$CLUSTER" --location westeurope \
  --kubernetes-version 1.33 \
  --nodepool-name sys --node-vm-size Standard_D4s_v5

az aks nodepool add --resource-group "$GROUP" --cluster-name "$CLUSTER" \
  --name win \
  --node-vm-size "$WIN_SIZE" \
  "${WINDOWS[@]}"

if [ -n "${TRUSTED:-}" ]; then
  az aks nodepool add -g "$GROUP" --cluster-name "$CLUSTER" -n tl \
    --node-vm-size Standard_D4_v3 --enable-vtpm
  WIN_SIZE=Standard_B2s
fi

cat <<TEXT
az aks nodepool add --name heredoc --node-vm-size Standard_D2_v2
TEXT
echo "az aks nodepool add --name quoted --node-vm-size Standard_D2_v2"

az aks nodepool add -g "$GROUP" --cluster-name "$CLUSTER" -n later --node-vm-size "$WIN_SIZE"
az aks nodepool add -g "$GROUP" --cluster-name "$CLUSTER" -n wing2 --node-vm-size Standard_D4s_v5 \
  --os-type Windows --os-sku Windows2022 --aks-custom-headers UseWindowsGen2VM=true
az aks nodepool upgrade -g "$GROUP" --cluster-name "$CLUSTER" -n sys --node-image-only
