"""How YAML becomes values, layer by layer. `dojo_deploy.config` is its public face.

document    text -> a tree of nodes that know their file and line; everything surprising in YAML is refused
tree        the node, merging, plain data
scalars     what an unquoted word means; durations
problems    several errors at once, one line each; near misses
resolve     `nginx` or `package.module:Class` -> the class
wants       what an annotation asks of a value, and how to say that it is not so
    bind        a tree -> frozen dataclasses, whose fields are the schema
    unbind      and back
hosts       the `hosts:` section -> Host
ports       the ports of a host's processes and slots; collisions
references  what other sections say of hosts and groups
inventories files -> Inventory
strategies  files, the inventory's own settings and `--set` -> a strategy
finding     what a person types -> a file
"""
