# Added by Poolwright's tests; the rest of this file is azure-cli-core's own.
#
# azure.azcollection 3.12.0 asks this module for the cloud at the address that `cloud_environment` names
# (azure_rm_common.py), but azure-cli-core 2.75.0, which it pins, does not have the function: as shipped, the collection
# reaches only the clouds of Microsoft that azure-cli-core knows by name.
def get_cloud_from_metadata_endpoint(arm_endpoint):
    import requests

    reply = requests.get(arm_endpoint.rstrip("/") + "/metadata/endpoints?api-version=2022-09-01", timeout=30)
    reply.raise_for_status()
    return _arm_to_cli_mapper(reply.json())  # noqa: F821 - of the module this is added to
