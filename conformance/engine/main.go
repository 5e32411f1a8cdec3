// Command engine answers Portolan's policy cases with Cilium's own policy engine.
//
// It reads one case per line on standard input (the format of Portolan's reference cases) and
// writes one answer per line: what Cilium's validation says of every object, and what the policy
// map of the asked endpoint says of the flow. Nothing of Portolan's own evaluator is used here.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

const maxLine = 16 << 20 // bytes of one case

// answer is what the engine says of one case.
type answer struct {
	ID        string     `json:"id"`
	Release   string     `json:"release"`
	Verdict   string     `json:"verdict"`
	L4        string     `json:"l4,omitempty"`
	Redirect  bool       `json:"redirect"`
	Policies  []string   `json:"policies,omitempty"`
	Rejected  []rejected `json:"rejected,omitempty"`
	Error     string     `json:"error,omitempty"`
	Remaining string     `json:"remaining,omitempty"`
}

// rejected is one object that Cilium would not take, and who refuses it.
type rejected struct {
	Object string `json:"object"`
	At     string `json:"at"`
	Error  string `json:"error"`
}

func main() {
	quiet()
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), maxLine)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var c testCase
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "a line is no case:", err)
			os.Exit(1)
		}
		if err := encoder.Encode(answerCase(&c)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// answerCase validates every object, and judges the flow by those that remain.
func answerCase(c *testCase) answer {
	result := answer{ID: c.ID, Release: release}
	configure(c.Options)
	accepted := []parsed{}
	for _, object := range c.Policies {
		p, at, err := validate(object)
		if err != nil {
			result.Rejected = append(result.Rejected, rejected{objectName(object), at, err.Error()})
			continue
		}
		accepted = append(accepted, p)
	}
	verdict, err := judge(c, accepted, &result)
	if err != nil {
		result.Error = err.Error()
		verdict = "invalid"
	}
	result.Verdict = verdict
	if len(result.Rejected) > 0 {
		result.Remaining = verdict
		result.Verdict = "invalid"
	}
	return result
}
