"""From decisions to manifests: rendered, checked, written."""
