"""Everything about Ray, and the only package that imports it: actors, placement groups, nodes, connections.

The actors are shells: they unpack arguments and call plain classes of `control`. What a class of ours needs in another
process is built there by a factory that the composition root hands in, so that nothing here names a store or a driver.
"""
