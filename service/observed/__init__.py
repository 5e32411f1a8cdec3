"""What was observed: clusters, namespaces, workloads, edges; read only."""
