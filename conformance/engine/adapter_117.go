//go:build cilium117

package main

import (
	"encoding/json"
	"io"

	"github.com/sirupsen/logrus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/cilium/cilium/pkg/fqdn/re"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/identity/identitymanager"
	"github.com/cilium/cilium/pkg/k8s"
	ciliumclient "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client"
	v2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	slim "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"
	"github.com/cilium/cilium/pkg/logging"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/spanstat"
	"github.com/cilium/cilium/pkg/u8proto"
)

const (
	release = "1.17"
	cluster = "default"

	expressions = 4096 // FQDN expressions kept compiled

	proxyPort = 10001 // any: the engine only has to know that the proxy listens
)

type entries = api.Rules

func quiet() {
	logging.DefaultLogger.SetOutput(io.Discard)
	if err := re.InitRegexCompileLRU(expressions); err != nil {
		panic(err)
	}
}

// configure sets the agent options that change verdicts to Cilium's defaults and the case's.
func configure(o options) {
	api.InitEntities(cluster)
	option.Config.EnableIPv4 = true
	option.Config.EnableIPv6 = o.DualStack
	option.Config.EnableL7Proxy = true
	option.Config.EnableICMPRules = true
	option.Config.EnableNonDefaultDenyPolicies = true
	option.Config.EnableHostFirewall = o.HostFirewall
	option.Config.AllowLocalhost = option.AllowLocalhostAlways
	mode := o.EnablePolicy
	if mode == "" {
		mode = option.DefaultEnforcement
	}
	policy.SetPolicyEnabled(mode)
}

func pregeneratedCRD(name string) apiextensionsv1.CustomResourceDefinition {
	return ciliumclient.GetPregeneratedCRD(name)
}

func parseCilium(kind string, raw json.RawMessage) (parsed, error) {
	var rules api.Rules
	var err error
	if kind == "CiliumNetworkPolicy" {
		object := v2.CiliumNetworkPolicy{}
		if err = json.Unmarshal(raw, &object); err == nil {
			rules, err = object.Parse()
		}
	} else {
		object := v2.CiliumClusterwideNetworkPolicy{}
		if err = json.Unmarshal(raw, &object); err == nil {
			rules, err = object.Parse()
		}
	}
	if err != nil {
		return parsed{}, err
	}
	prefixes, fqdns := prefixesOf(rules)
	return parsed{objectName(raw), rules, prefixes, fqdns}, nil
}

func parseKubernetes(raw json.RawMessage) (parsed, error) {
	object := slim.NetworkPolicy{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return parsed{}, err
	}
	rules, err := k8s.ParseNetworkPolicy(&object)
	if err != nil {
		return parsed{}, err
	}
	return parsed{objectName(raw), rules, blockPrefixes(&object), nil}, nil
}

// openGate computes the subject's policy map with Cilium's engine and looks the flow up in it.
func openGate(objects []parsed, q question) (gate, error) {
	ids := identity.IdentityMap{q.subject.ID: q.subject.LabelArray, q.peer.ID: q.peer.LabelArray}
	manager := identitymanager.NewIDManager()
	repo := policy.NewPolicyRepository(ids, nil, nil, manager, api.NewPolicyMetricsNoop())
	repo.GetSelectorCache().SetLocalIdentityNotifier(nobody{})
	manager.Add(q.subject)
	defer manager.Remove(q.subject)
	all := entries{}
	for _, object := range objects {
		all = append(all, object.entries...)
	}
	repo.MustAddList(all)
	owner := &endpoint{id: uint64(q.subject.ID), named: q.named, host: q.subject.ID == identity.ReservedIdentityHost}
	selector, _, err := repo.GetSelectorPolicy(q.subject, 0, &stats{})
	if err != nil {
		return gate{}, err
	}
	redirects := map[string]uint16{}
	for f, rules := range selector.RedirectFilters() {
		port := f.Port
		if f.PortName != "" {
			port = owner.GetNamedPort(f.Ingress, f.PortName, f.U8Proto)
		}
		redirects[policy.ProxyID(uint16(owner.id), f.Ingress, string(f.Protocol), port, rules.Listener)] = proxyPort
	}
	computed := selector.DistillPolicy(owner, redirects)
	defer computed.Detach()
	l4, enabled := &computed.L4Policy.Egress, computed.EgressPolicyEnabled
	if q.ingress {
		l4, enabled = &computed.L4Policy.Ingress, computed.IngressPolicyEnabled
	}
	result := gate{unlimited: !enabled || (q.ingress && q.peer.ID == identity.ReservedIdentityHost)}
	if key, entry, found := lookup(computed, q); found {
		result.allowed, result.redirect = !entry.IsDeny(), entry.IsRedirectEntry()
		result.policies, _ = computed.GetRuleLabels(key)
	}
	version := computed.VersionHandle
	l4.PortRules.ForEach(func(f *policy.L4Filter) bool {
		view := filter{proto: f.U8Proto, port: f.Port, endPort: f.EndPort}
		if f.PortName != "" {
			view.port = owner.GetNamedPort(q.ingress, f.PortName, f.U8Proto)
		}
		for cached, rules := range f.PerSelectorPolicies {
			if !cached.Selects(version, q.peer.ID) {
				continue
			}
			if rules == nil {
				view.rules = append(view.rules, nil)
			} else {
				view.rules = append(view.rules, &rules.L7Rules)
			}
		}
		if len(view.rules) > 0 && (f.PortName == "" || view.port != 0) {
			result.filters = append(result.filters, view)
		}
		return true
	})
	return result, nil
}

// lookup finds the entry that the datapath would choose: this release has no exported lookup. Of the
// entries that cover the flow, the longest with the peer's identity and the longest without one are
// compared as in bpf/lib/policy.h: deny first, then the higher
// proxy priority, then the longer one, then the one with the identity.
func lookup(computed *policy.EndpointPolicy, q question) (policy.Key, policy.MapStateEntry, bool) {
	var keys [2]policy.Key
	var values [2]policy.MapStateEntry
	var have [2]bool
	for key, entry := range computed.Entries() {
		if key.IsIngress() != q.ingress || (key.Nexthdr != 0 && key.Nexthdr != q.proto) {
			continue
		}
		if bits := key.PortPrefixLen(); bits > 0 && key.DestPort>>(16-bits) != q.port>>(16-bits) {
			continue
		}
		slot := 0
		if key.Identity != 0 {
			slot = 1
			if key.Identity != q.peer.ID {
				continue
			}
		}
		if !have[slot] || key.PrefixLength() > keys[slot].PrefixLength() {
			keys[slot], values[slot], have[slot] = key, entry, true
		}
	}
	switch {
	case !have[0] && !have[1]:
		return policy.Key{}, policy.MapStateEntry{}, false
	case !have[1]:
		return keys[0], values[0], true
	case !have[0] || values[1].IsDeny():
		return keys[1], values[1], true
	case values[0].IsDeny() || values[0].ProxyPortPriority > values[1].ProxyPortPriority:
		return keys[0], values[0], true
	case values[0].ProxyPortPriority == values[1].ProxyPortPriority && keys[0].PrefixLength() > keys[1].PrefixLength():
		return keys[0], values[0], true
	default:
		return keys[1], values[1], true
	}
}

// nobody is told of FQDN selectors; the identities of a case already carry their labels.
type nobody struct{}

func (nobody) RegisterFQDNSelector(api.FQDNSelector) {}

func (nobody) UnregisterFQDNSelector(api.FQDNSelector) {}

// endpoint is the owner of the asked policy map.
type endpoint struct {
	id    uint64
	named []namedPort
	host  bool
}

func (e *endpoint) GetID() uint64 { return e.id }

// GetNamedPort resolves the destination's named ports: the endpoint's own on ingress, the peer's on egress.
func (e *endpoint) GetNamedPort(_ bool, name string, proto u8proto.U8proto) uint16 {
	for _, known := range e.named {
		if p, err := u8proto.ParseProtocol(known.Proto); err == nil && known.Name == name && p == proto {
			return known.Port
		}
	}
	return 0
}

func (e *endpoint) PolicyDebug(logrus.Fields, string) {}

func (e *endpoint) IsHost() bool { return e.host }

func (e *endpoint) MapStateSize() int { return 0 }

type stats struct {
	waiting, calculation spanstat.SpanStat
}

func (s *stats) WaitingForPolicyRepository() *spanstat.SpanStat { return &s.waiting }

func (s *stats) PolicyCalculation() *spanstat.SpanStat { return &s.calculation }
