#!/bin/sh
# Doubles a node pool: double.sh GROUP CLUSTER POOL
set -eu
count=$(az aks nodepool show -g "$1" --cluster-name "$2" -n "$3" --query count --output tsv)
az aks nodepool scale -g "$1" --cluster-name "$2" -n "$3" --node-count $((count * 2)) --output none
