"""What the observations teach: who the workloads are and by which labels they can be selected."""
