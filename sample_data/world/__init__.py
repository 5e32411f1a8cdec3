"""
A world is described first and rendered afterwards.

``nouns`` says what exists (workloads, dependencies, their rhythm and class), ``pods`` gives every
workload its pods over time, ``traffic`` turns dependencies into single connections and lookups,
``records`` writes those as Hubble exporter lines and ``truth`` sums them up as edges. Everything is
drawn from generators seeded by text, so no result depends on hash order or on which days were asked.
"""
