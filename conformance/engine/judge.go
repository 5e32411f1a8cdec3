package main

import (
	"net/netip"

	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/u8proto"
)

// gate is the asked endpoint's policy map entry for one flow, and its layer 7 filters.
type gate struct {
	allowed   bool
	redirect  bool
	unlimited bool // policy does not apply in this direction, or the local host came in
	policies  labels.LabelArrayList
	filters   []filter
}

// filter is one merged L4 filter of the endpoint, with the rules of the selectors that select the peer.
type filter struct {
	proto         u8proto.U8proto
	port, endPort uint16
	rules         []*api.L7Rules // nil element: a selector without layer 7 rules
}

// question is one flow, resolved to identities.
type question struct {
	subject, peer *identity.Identity
	ingress       bool
	proto         u8proto.U8proto
	port          uint16
	named         []namedPort
}

func judge(c *testCase, objects []parsed, result *answer) (string, error) {
	proto, err := c.Flow.proto()
	if err != nil {
		return "", err
	}
	prefixes, fqdns := collect(objects)
	ingress := c.Flow.Direction == "ingress"
	subject, peer := &c.Flow.Src, &c.Flow.Dst
	if ingress {
		subject, peer = peer, subject
	}
	subjectID, err := subject.identityOf(podID, prefixes, fqdns, c.Options.DualStack)
	if err != nil {
		return "", err
	}
	peerID, err := peer.identityOf(podID+1, prefixes, fqdns, c.Options.DualStack)
	if err != nil {
		return "", err
	}
	// Equal labels are one identity in a cluster.
	if subjectID.ID == podID && peerID.ID == podID+1 && subjectID.Labels.Equals(peerID.Labels) {
		peerID = subjectID
	}
	q := question{subjectID, peerID, ingress, proto, c.Flow.port(), c.Flow.Dst.NamedPorts}
	g, err := openGate(objects, q)
	if err != nil {
		return "", err
	}
	result.Redirect = g.allowed && g.redirect
	result.Policies = policyNames(g.policies)
	result.L4 = "deny"
	if g.allowed {
		result.L4 = "allow"
	}
	if !g.allowed || !g.redirect || c.Flow.L7 == nil {
		return result.L4, nil
	}
	if requestPasses(g, q, c.Flow.L7) {
		return "allow", nil
	}
	return "deny", nil
}

// collect lists every prefix (exceptions too) and FQDN selector of the objects: they decide which
// identities exist.
func collect(objects []parsed) ([]netip.Prefix, []api.FQDNSelector) {
	var prefixes []netip.Prefix
	var fqdns []api.FQDNSelector
	add := func(text string) {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, prefix.Masked())
		}
	}
	for _, object := range objects {
		for _, text := range object.prefixes {
			add(text)
		}
		fqdns = append(fqdns, object.fqdns...)
	}
	return prefixes, fqdns
}

// prefixesOf reads the prefixes and FQDN selectors of Cilium rules.
func prefixesOf(rules api.Rules) (prefixes []string, fqdns []api.FQDNSelector) {
	addAll := func(cidrs api.CIDRSlice, sets api.CIDRRuleSlice) {
		for _, cidr := range cidrs {
			prefixes = append(prefixes, string(cidr))
		}
		for _, set := range sets {
			prefixes = append(prefixes, string(set.Cidr))
			for _, except := range set.ExceptCIDRs {
				prefixes = append(prefixes, string(except))
			}
		}
	}
	for _, rule := range rules {
		for i := range rule.Ingress {
			addAll(rule.Ingress[i].FromCIDR, rule.Ingress[i].FromCIDRSet)
		}
		for i := range rule.IngressDeny {
			addAll(rule.IngressDeny[i].FromCIDR, rule.IngressDeny[i].FromCIDRSet)
		}
		for i := range rule.Egress {
			addAll(rule.Egress[i].ToCIDR, rule.Egress[i].ToCIDRSet)
			fqdns = append(fqdns, rule.Egress[i].ToFQDNs...)
		}
		for i := range rule.EgressDeny {
			addAll(rule.EgressDeny[i].ToCIDR, rule.EgressDeny[i].ToCIDRSet)
		}
	}
	return prefixes, fqdns
}
