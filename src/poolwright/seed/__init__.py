"""The seed of a service: a file of what it starts with.

`reading` turns YAML or JSON into values that know where they stand, `document` says what may stand there,
`seeding` brings it about through the verbs of the control plane.
"""
