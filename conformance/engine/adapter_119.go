//go:build !cilium117 && !cilium120

package main

import (
	"encoding/json"
	"io"
	"log/slog"

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
	"github.com/cilium/cilium/pkg/spanstat"
	testpolicy "github.com/cilium/cilium/pkg/testutils/policy"
	"github.com/cilium/cilium/pkg/u8proto"
)

const (
	release = "1.19"
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
	option.Config.AllowLocalhost = option.AllowLocalhostAlways
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
	manager.Add(q.subject)
	defer manager.Remove(q.subject)
	all := entries{}
	for _, object := range objects {
		all = append(all, object.entries...)
	}
	repo.MustAddPolicyEntries(all)
	owner := &endpoint{id: uint64(q.subject.ID), named: q.named, host: q.subject.ID == identity.ReservedIdentityHost}
	selector, _, err := repo.GetSelectorPolicy(q.subject, 0, &stats{}, owner.id)
	if err != nil {
		return gate{}, err
	}
	redirects := map[string]uint16{}
	for f, tuple := range selector.RedirectFilters() {
		port := f.Port
		if f.PortName != "" {
			port = owner.GetNamedPort(f.Ingress, f.PortName, f.U8Proto)
		}
		redirects[policy.ProxyID(uint16(owner.id), f.Ingress, string(f.Protocol), port, tuple.Policy.GetListener())] = proxyPort
	}
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
				view.port = owner.GetNamedPort(q.ingress, f.PortName, f.U8Proto)
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

// GetNamedPort resolves the destination's named ports: the endpoint's own on ingress, the peer's on egress.
func (e *endpoint) GetNamedPort(_ bool, name string, proto u8proto.U8proto) uint16 {
	for _, known := range e.named {
		if p, err := u8proto.ParseProtocol(known.Proto); err == nil && known.Name == name && p == proto {
			return known.Port
		}
	}
	return 0
}

func (e *endpoint) PolicyDebug(string, ...any) {}

func (e *endpoint) IsHost() bool { return e.host }

func (e *endpoint) PreviousMapState() *policy.MapState { return nil }

func (e *endpoint) RegenerateIfAlive(*regeneration.ExternalRegenerationMetadata) <-chan bool {
	done := make(chan bool)
	close(done)
	return done
}

type stats struct {
	waiting, calculation spanstat.SpanStat
}

func (s *stats) WaitingForPolicyRepository() *spanstat.SpanStat { return &s.waiting }

func (s *stats) SelectorPolicyCalculation() *spanstat.SpanStat { return &s.calculation }
