"""Everything about Ray, and the only package that imports it: actors, placement groups, nodes, connections.

The actors are shells: they unpack arguments and call plain classes of `control`. What a class of ours needs in another
process is built there by a factory that the composition root hands in, so that nothing here names a store or a driver.
"""

import os

# Token authentication is on unless the operator says otherwise (D12). Ray reads this when it is first imported.
os.environ.setdefault("RAY_AUTH_MODE", "token")
