"""The command line: `poolwright`, in the words of az.

`entry` is where it begins; `main` puts the tree of commands together; each other module of commands is one branch
of it. They share `options` (the spellings), `connection` (which service), `client` (HTTP), `progress` and `output`.

Invariant: stdout carries the answer and nothing else; with `--output json` it is the JSON of the wire.
"""
