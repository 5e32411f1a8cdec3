"""Label conventions of real clusters, good and bad."""

from typing import Final

#: Drawn per namespace unless the world fixes one.
CONVENTIONS: Final = ("recommended", "app", "k8s-app", "custom", "helm", "missing")
#: How often each is drawn.
CONVENTION_WEIGHTS: Final = (0.25, 0.3, 0.1, 0.1, 0.2, 0.05)


def workload_labels(convention: str, team: str, name: str, role: str) -> dict[str, str]:
    """Labels of a workload before its first release."""
    match convention:
        case "recommended":
            return {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/instance": team,
                "app.kubernetes.io/component": role,
                "app.kubernetes.io/part-of": team,
            }
        case "app":
            return {"app": name, "tier": role}
        case "k8s-app":
            return {"k8s-app": name, "tier": role}
        case "custom":
            return {"service": name, "team": team, "function": role}
        case "helm":
            return {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/instance": f"{team}-{name}",
                "app.kubernetes.io/managed-by": "Helm",
                "app.kubernetes.io/version": "1.0.0",
                "helm.sh/chart": f"{name}-1.0.0",
            }
        case _:
            return {"tier": role}


def released(labels: dict[str, str], number: int) -> dict[str, str]:
    """Labels after a release; those that name no version stay."""
    changed = dict(labels)
    if "app.kubernetes.io/version" in changed:
        changed["app.kubernetes.io/version"] = f"1.{number}.0"
    if "helm.sh/chart" in changed:
        changed["helm.sh/chart"] = f"{changed['app.kubernetes.io/name']}-1.{number}.0"
    return changed


def label_texts(namespace: str, cluster: str, account: str, labels: dict[str, str]) -> list[str]:
    """Labels of a pod as Hubble prints them, sorted."""
    everything = {
        **labels,
        "io.kubernetes.pod.namespace": namespace,
        "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": namespace,
        "io.cilium.k8s.policy.cluster": cluster,
        "io.cilium.k8s.policy.serviceaccount": account,
    }
    return sorted(f"k8s:{key}={value}" for key, value in everything.items())
