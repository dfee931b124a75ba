"""The pages of the AKS documentation that more than one table of rules names (MicrosoftDocs/azure-aks-docs).

Invariant: a row names where its sentence is written: a page with its date, an issue, or `Poolwright` where the
rule is ours.
"""

from __future__ import annotations

from typing import Final

GEN2_PAGE: Final = "Use Generation 2 virtual machines in AKS (generation-2-vm.md, 05/03/2024)"
TRUSTED_LAUNCH_PAGE: Final = "Trusted launch for AKS (use-trusted-launch.md, 07/22/2026)"
CVM_PAGE: Final = "Confidential VM node pools (use-cvm.md, 06/24/2026)"
IMAGES_PAGE: Final = "Node images in AKS (node-images.md)"
OS_PAGE: Final = "Upgrade OS versions (upgrade-os-version.md)"
FIPS_PAGE: Final = "FIPS node pools (enable-fips-nodes.md)"
