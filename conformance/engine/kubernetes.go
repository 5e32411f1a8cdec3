package main

import slim "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"

// blockPrefixes lists the prefixes of a NetworkPolicy's ipBlocks, exceptions too.
func blockPrefixes(object *slim.NetworkPolicy) []string {
	var prefixes []string
	add := func(peers []slim.NetworkPolicyPeer) {
		for _, peer := range peers {
			if peer.IPBlock != nil {
				prefixes = append(prefixes, peer.IPBlock.CIDR)
				prefixes = append(prefixes, peer.IPBlock.Except...)
			}
		}
	}
	for _, rule := range object.Spec.Ingress {
		add(rule.From)
	}
	for _, rule := range object.Spec.Egress {
		add(rule.To)
	}
	return prefixes
}
