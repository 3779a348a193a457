"""Downloads from the servers of ACDC and Synapse, and archives that cannot unpack outside their target."""
