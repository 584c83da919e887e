package report

import "encoding/json"

// StackPlan is what Terraform would do to one stack.
type StackPlan struct {
	Changes []Change // without what is only read
	Drift   []Change // what somebody else changed or removed since the last apply
	// Differs is true also when nothing but an output changes.
	Differs bool
	Text    string // Terraform's own, when it was asked for
}

// StackState is what a stack's state holds.
type StackState struct {
	Outputs   map[string]json.RawMessage
	Resources []string // addresses of what is managed, without the keys of instances
}

// Empty tells whether the stack holds nothing.
func (s StackState) Empty() bool { return len(s.Resources) == 0 }
