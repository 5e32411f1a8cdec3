package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"

	ciliumclient "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client"
	"github.com/cilium/cilium/pkg/policy/api"
)

// parsed is an object that passed validation, ready for the policy repository.
type parsed struct {
	name     string
	entries  entries
	prefixes []string
	fqdns    []api.FQDNSelector
}

// crd is one compiled schema.
type crd struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

var schemas = map[string]*crd{}

func schemaOf(kind string) (*crd, error) {
	name := map[string]string{
		"CiliumNetworkPolicy":            ciliumclient.CNPCRDName,
		"CiliumClusterwideNetworkPolicy": ciliumclient.CCNPCRDName,
	}[kind]
	if name == "" {
		return nil, fmt.Errorf("no schema for kind %q", kind)
	}
	if known, ok := schemas[kind]; ok {
		return known, nil
	}
	v1 := pregeneratedCRD(name)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, internal, nil); err != nil {
		return nil, err
	}
	schema, err := apiextensions.GetSchemaForVersion(internal, "v2")
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	schemas[kind] = &crd{structural, validator}
	return schemas[kind], nil
}

// validate runs the API server's schema (strictly: unknown fields are refused) and then the agent's
// parser on one object. The second result says who refuses it.
func validate(raw json.RawMessage) (parsed, string, error) {
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return parsed{}, "crd", err
	}
	kind, _ := object["kind"].(string)
	if kind == "NetworkPolicy" {
		p, err := parseKubernetes(raw)
		return p, "agent", err
	}
	schema, err := schemaOf(kind)
	if err != nil {
		return parsed{}, "crd", err
	}
	pruned := pruning.PruneWithOptions(object, schema.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(pruned) > 0 {
		return parsed{}, "crd (unknown field)", errors.New(strings.Join(pruned, ", "))
	}
	if errs := validation.ValidateCustomResource(nil, object, schema.validator); len(errs) > 0 {
		return parsed{}, "crd", errs.ToAggregate()
	}
	p, err := parseCilium(kind, raw)
	return p, "agent", err
}
