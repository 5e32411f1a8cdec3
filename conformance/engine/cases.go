package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"github.com/cilium/cilium/pkg/fqdn/dns"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/u8proto"
)

type testCase struct {
	ID       string            `json:"id"`
	Policies []json.RawMessage `json:"policies"`
	Flow     flow              `json:"flow"`
	Options  options           `json:"options"`
}

type options struct {
	HostFirewall bool   `json:"host_firewall"`
	DualStack    bool   `json:"dual_stack"`
	EnablePolicy string `json:"enablePolicy"`
}

type flow struct {
	Direction string `json:"direction"`
	Src       side   `json:"src"`
	Dst       side   `json:"dst"`
	L4        struct {
		Proto    string  `json:"proto"`
		Port     uint16  `json:"port"`
		ICMPType *uint16 `json:"icmp_type"`
	} `json:"l4"`
	L7 *request `json:"l7"`
}

type side struct {
	Labels     []string    `json:"labels"`
	IP         string      `json:"ip"`
	Names      []string    `json:"names"`
	Entity     string      `json:"entity"`
	NamedPorts []namedPort `json:"named_ports"`
}

type namedPort struct {
	Name  string `json:"name"`
	Port  uint16 `json:"port"`
	Proto string `json:"proto"`
}

type request struct {
	HTTP *httpRequest `json:"http"`
	DNS  *struct {
		Name string `json:"name"`
	} `json:"dns"`
}

type httpRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Host    string            `json:"host"`
	Headers map[string]string `json:"headers"`
}

// port is the destination port, or the type of an ICMP message.
func (f *flow) port() uint16 {
	if f.L4.ICMPType != nil {
		return *f.L4.ICMPType
	}
	return f.L4.Port
}

func (f *flow) proto() (u8proto.U8proto, error) {
	name := strings.ToLower(f.L4.Proto)
	if name == "icmpv6" {
		return u8proto.ICMPv6, nil
	}
	return u8proto.ParseProtocol(name)
}

const (
	podID   = identity.NumericIdentity(2001)
	localID = identity.NumericIdentity(identity.IdentityScopeLocal) + 77
	nodeID  = identity.NumericIdentity(identity.IdentityScopeRemoteNode) + 77
)

// identityOf gives a side the identity that the agent would have allocated for it: for an outside
// address that means its longest prefix in any policy and every FQDN selector that knows its names.
func (s *side) identityOf(number identity.NumericIdentity, prefixes []netip.Prefix, fqdns []api.FQDNSelector, dual bool) (*identity.Identity, error) {
	lbls := labels.NewLabelsFromModel(s.Labels)
	outside := s.Entity == "" && len(s.Labels) == 0 && s.IP != ""
	switch {
	case s.Entity == "kube-apiserver" && s.IP != "":
		lbls.MergeLabels(labels.LabelKubeAPIServer)
		outside = true
	case s.Entity == "kube-apiserver":
		return identity.LookupReservedIdentity(identity.ReservedIdentityKubeAPIServer), nil
	case s.Entity != "":
		id := identity.GetReservedID(s.Entity)
		if id == identity.IdentityUnknown {
			return nil, fmt.Errorf("no reserved identity %q", s.Entity)
		}
		if len(s.Labels) == 0 {
			return identity.LookupReservedIdentity(id), nil
		}
		lbls.MergeLabels(identity.LookupReservedIdentity(id).Labels)
		if id == identity.ReservedIdentityRemoteNode {
			id = nodeID
		}
		return identity.NewIdentity(id, lbls), nil
	}
	if !outside {
		return identity.NewIdentity(number, lbls), nil
	}
	address, err := netip.ParseAddr(s.IP)
	if err != nil {
		return nil, err
	}
	special := len(lbls) > 0
	var longest netip.Prefix
	for _, prefix := range prefixes {
		if prefix.Contains(address) && prefix.Bits() > 0 && (!longest.IsValid() || prefix.Bits() > longest.Bits()) {
			longest = prefix
		}
	}
	if longest.IsValid() {
		lbls.MergeLabels(labels.GetCIDRLabels(longest))
		special = true
	}
	for i := range fqdns {
		expression, err := fqdns[i].ToRegex()
		if err != nil {
			return nil, err
		}
		for _, name := range s.Names {
			if expression.MatchString(strings.ToLower(dns.FQDN(name))) {
				label := fqdns[i].IdentityLabel()
				lbls[label.Key] = label
				special = true
			}
		}
	}
	addWorld(lbls, address, dual)
	if !special {
		return worldIdentity(address, dual), nil
	}
	return identity.NewIdentity(localID, lbls), nil
}

func addWorld(lbls labels.Labels, address netip.Addr, dual bool) {
	for _, name := range []string{labels.IDNameWorld, labels.IDNameWorldIPv4, labels.IDNameWorldIPv6} {
		delete(lbls, name)
	}
	for key, label := range worldIdentity(address, dual).Labels {
		lbls[key] = label
	}
}

func worldIdentity(address netip.Addr, dual bool) *identity.Identity {
	switch {
	case !dual:
		return identity.LookupReservedIdentity(identity.ReservedIdentityWorld)
	case address.Is4():
		return identity.LookupReservedIdentity(identity.ReservedIdentityWorldIPv4)
	default:
		return identity.LookupReservedIdentity(identity.ReservedIdentityWorldIPv6)
	}
}

// objectName is kind/namespace/name, as far as the object says.
func objectName(raw json.RawMessage) string {
	var meta struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	_ = json.Unmarshal(raw, &meta)
	return meta.Kind + "/" + meta.Metadata.Namespace + "/" + meta.Metadata.Name
}

// policyNames turns the rule labels of a map entry into object names.
func policyNames(lists labels.LabelArrayList) []string {
	seen := map[string]struct{}{}
	for _, list := range lists {
		values := map[string]string{}
		for _, label := range list {
			values[label.Key] = label.Value
		}
		name := values["io.cilium.policy.derived-from"]
		if kind := values["io.cilium.k8s.policy.derived-from"]; kind != "" {
			name = kind + "/" + values["io.cilium.k8s.policy.namespace"] + "/" + values["io.cilium.k8s.policy.name"]
		}
		seen[name] = struct{}{}
	}
	names := []string{}
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
