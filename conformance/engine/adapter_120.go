//go:build cilium120

package main

import (
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/cilium/cilium/pkg/crypto/certificatemanager"
	"github.com/cilium/cilium/pkg/endpoint/regeneration"
	envoypolicy "github.com/cilium/cilium/pkg/envoy/policy"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/identity/identitymanager"
	"github.com/cilium/cilium/pkg/k8s"
	ciliumclient "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client"
	v2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	slim "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/types"
	"github.com/cilium/cilium/pkg/policy/utils"
	testpolicy "github.com/cilium/cilium/pkg/testutils/policy"
	pkgtypes "github.com/cilium/cilium/pkg/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

const (
	release = "1.20"
	cluster = "default"

	proxyPort = 10001 // any: the engine only has to know that the proxy listens
)

type entries = types.PolicyEntries

var logger = slog.New(slog.NewTextHandler(io.Discard, nil))

func quiet() { slog.SetDefault(logger) }

// configure sets the agent options that change verdicts to Cilium's defaults and the case's.
func configure(o options) {
	api.InitEntities(cluster)
	option.Config.EnableIPv4 = true
	option.Config.EnableIPv6 = o.DualStack
	option.Config.EnableL7Proxy = true
	option.Config.EnableICMPRules = true
	option.Config.EnableNonDefaultDenyPolicies = true
	option.Config.EnableHostFirewall = o.HostFirewall
	option.Config.UnsafeDaemonConfigOption.AllowLocalhost = option.AllowLocalhostAlways
	mode := o.EnablePolicy
	if mode == "" {
		mode = option.DefaultEnforcement
	}
	policy.SetPolicyEnabled(mode)
}

func pregeneratedCRD(name string) apiextensionsv1.CustomResourceDefinition {
	return ciliumclient.GetPregeneratedCRD(logger, name)
}

func parseCilium(kind string, raw json.RawMessage) (parsed, error) {
	var rules api.Rules
	var err error
	if kind == "CiliumNetworkPolicy" {
		object := v2.CiliumNetworkPolicy{}
		if err = json.Unmarshal(raw, &object); err == nil {
			rules, err = object.Parse(logger, cluster)
		}
	} else {
		object := v2.CiliumClusterwideNetworkPolicy{}
		if err = json.Unmarshal(raw, &object); err == nil {
			rules, err = object.Parse(logger, cluster)
		}
	}
	if err != nil {
		return parsed{}, err
	}
	prefixes, fqdns := prefixesOf(rules)
	return parsed{objectName(raw), utils.RulesToPolicyEntries(rules), prefixes, fqdns}, nil
}

func parseKubernetes(raw json.RawMessage) (parsed, error) {
	object := slim.NetworkPolicy{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return parsed{}, err
	}
	found, err := k8s.ParseNetworkPolicy(logger, cluster, &object)
	if err != nil {
		return parsed{}, err
	}
	return parsed{objectName(raw), found, blockPrefixes(&object), nil}, nil
}

// openGate computes the subject's policy map with Cilium's engine and looks the flow up in it.
func openGate(objects []parsed, q question) (gate, error) {
	ids := identity.IdentityMap{q.subject.ID: q.subject.LabelArray, q.peer.ID: q.peer.LabelArray}
	manager := identitymanager.NewIDManager(logger)
	translator := envoypolicy.NewEnvoyL7RulesTranslator(logger, certificatemanager.NewMockSecretManagerInline())
	repo := policy.NewPolicyRepository(logger, ids, nil, translator, manager, testpolicy.NewPolicyMetricsNoop())
	repo.GetSubjectSelectorCache().UpdateIdentities(identity.IdentityMap{q.subject.ID: q.subject.LabelArray}, nil, &sync.WaitGroup{})
	repo.SetNamedPortsGetter(peerPorts{q.peer.ID, q.named})
	all := entries{}
	for _, object := range objects {
		all = append(all, object.entries...)
	}
	repo.MustAddPolicyEntries(all)
	owner := &endpoint{id: uint64(q.subject.ID), named: q.named, host: q.subject.ID == identity.ReservedIdentityHost}
	selector, _, err := repo.ComputeSelectorPolicy(q.subject)
	if err != nil {
		return gate{}, err
	}
	redirects := map[string]uint16{policy.FallbackRedirectID: proxyPort}
	computed := selector.DistillPolicy(logger, owner, redirects)
	defer computed.Detach(logger)
	key, l4, enabled := policy.EgressKey(), &computed.SelectorPolicy.L4Policy.Egress, computed.SelectorPolicy.EgressPolicyEnabled
	if q.ingress {
		key, l4, enabled = policy.IngressKey(), &computed.SelectorPolicy.L4Policy.Ingress, computed.SelectorPolicy.IngressPolicyEnabled
	}
	entry, meta, found := computed.Lookup(key.WithIdentity(q.peer.ID).WithPortProto(q.proto, q.port))
	result := gate{allowed: found && !entry.IsDeny(), redirect: found && entry.IsRedirectEntry()}
	result.unlimited = !enabled || (q.ingress && q.peer.ID == identity.ReservedIdentityHost)
	if found {
		result.policies = meta.LabelArray()
	}
	snapshot := computed.GetPolicySelectors()
	for i := range l4.PortRules {
		l4.PortRules[i].ForEach(func(f *policy.L4Filter) bool {
			view := filter{proto: f.U8Proto, port: f.Port, endPort: f.EndPort}
			if f.PortName != "" {
				view.port = portOf(q.named, f.PortName, f.U8Proto)
			}
			for cached, rules := range f.PerSelectorPolicies {
				if !cached.Selects(q.peer.ID) {
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
	}
	snapshot.Invalidate()
	return result, nil
}

// endpoint is the owner of the asked policy map.
type endpoint struct {
	id    uint64
	named []namedPort
	host  bool
}

func (e *endpoint) GetID() uint64 { return e.id }

// GetIngressNamedPort resolves the endpoint's own named ports.
func (e *endpoint) GetIngressNamedPort(name string, proto u8proto.U8proto) uint16 {
	return portOf(e.named, name, proto)
}

func portOf(named []namedPort, name string, proto u8proto.U8proto) uint16 {
	for _, known := range named {
		if p, err := u8proto.ParseProtocol(known.Proto); err == nil && known.Name == name && p == proto {
			return known.Port
		}
	}
	return 0
}

// peerPorts are the named ports of the one peer of a question.
type peerPorts struct {
	id    identity.NumericIdentity
	named []namedPort
}

func (p peerPorts) GetNamedPorts() pkgtypes.NamedPortMultiMap { return peerPortMap(p) }

type peerPortMap peerPorts

func (m peerPortMap) Len() int { return len(m.named) }

func (m peerPortMap) GetNamedPort(name string, proto u8proto.U8proto, ids iter.Seq[identity.NumericIdentity]) (uint16, error) {
	for _, port := range m.GetNamedPorts(name, proto, ids) {
		return port, nil
	}
	return 0, pkgtypes.ErrUnknownNamedPort
}

func (m peerPortMap) GetNamedPorts(name string, proto u8proto.U8proto, ids iter.Seq[identity.NumericIdentity]) pkgtypes.NidPortSeq {
	return func(yield func(identity.NumericIdentity, uint16) bool) {
		for id := range ids {
			if port := portOf(m.named, name, proto); id == m.id && port != 0 && !yield(id, port) {
				return
			}
		}
	}
}

func (e *endpoint) PolicyDebug(string, ...any) {}

func (e *endpoint) IsHost() bool { return e.host }

func (e *endpoint) PreviousMapStateSizes() policy.MapStateSizes { return policy.MapStateSizes{} }

func (e *endpoint) RegenerateIfAlive(*regeneration.ExternalRegenerationMetadata) <-chan bool {
	done := make(chan bool)
	close(done)
	return done
}
