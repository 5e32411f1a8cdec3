package main

import (
	"regexp"
	"strings"

	"github.com/cilium/cilium/pkg/fqdn/dns"
	"github.com/cilium/cilium/pkg/fqdn/matchpattern"
	"github.com/cilium/cilium/pkg/policy/api"
)

// requestPasses asks the merged filters of the endpoint about one request: HTTP as Cilium's Envoy
// filter reads them (every filter that covers the port, one without rules lifts the others), DNS
// as the agent's proxy does (only the filter of exactly this port and protocol).
func requestPasses(g gate, q question, r *request) bool {
	if r.HTTP != nil {
		return g.unlimited || httpPasses(g, q, r.HTTP)
	}
	if r.DNS != nil {
		return dnsPasses(g, q, r.DNS.Name)
	}
	return true
}

func httpPasses(g gate, q question, r *httpRequest) bool {
	restricted := false
	for _, f := range g.filters {
		if !f.covers(q) {
			continue
		}
		for _, rules := range f.rules {
			if rules.IsEmpty() {
				return true
			}
			restricted = true
			for i := range rules.HTTP {
				if httpMatches(&rules.HTTP[i], r) {
					return true
				}
			}
		}
	}
	return !restricted
}

func dnsPasses(g gate, q question, name string) bool {
	restricted := false
	for _, f := range g.filters {
		if f.port != q.port || f.endPort > f.port || f.proto != q.proto || f.port == 0 {
			continue
		}
		for _, rules := range f.rules {
			if rules.IsEmpty() {
				return true
			}
			restricted = true
			for i := range rules.DNS {
				if dnsMatches(&rules.DNS[i], name) {
					return true
				}
			}
		}
	}
	return !restricted
}

// covers tells whether the filter is about the asked protocol and port.
func (f *filter) covers(q question) bool {
	if f.proto != q.proto && f.proto != 0 {
		return false
	}
	if f.port == 0 {
		return true
	}
	end := f.endPort
	if end < f.port {
		end = f.port
	}
	return f.port <= q.port && q.port <= end
}

func httpMatches(rule *api.PortRuleHTTP, r *httpRequest) bool {
	whole := func(expression, value string) bool {
		return expression == "" || regexp.MustCompile("^(?:"+expression+")$").MatchString(value)
	}
	if !whole(rule.Method, r.Method) || !whole(rule.Path, r.Path) || !whole(rule.Host, r.Host) {
		return false
	}
	headers := map[string]string{}
	for name, value := range r.Headers {
		headers[strings.ToLower(name)] = value
	}
	for _, header := range rule.Headers {
		name, value, valued := strings.Cut(header, " ")
		if valued {
			name = strings.TrimRight(name, ":")
		}
		found, ok := headers[strings.ToLower(name)]
		if !ok || (valued && found != value) {
			return false
		}
	}
	for _, match := range rule.HeaderMatches {
		if match.Mismatch == "" && headers[strings.ToLower(match.Name)] != match.Value {
			return false
		}
	}
	return true
}

func dnsMatches(rule *api.PortRuleDNS, name string) bool {
	var expression string
	if rule.MatchName != "" {
		expression = regexp.QuoteMeta(strings.ToLower(dns.FQDN(rule.MatchName)))
	} else {
		expression = matchpattern.ToUnAnchoredRegexp(matchpattern.Sanitize(rule.MatchPattern))
	}
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(strings.ToLower(dns.FQDN(name)))
}
