// Package capacity answers whether a topology fits a place, with reasons.
package capacity

// Limits is what a place has to give.
type Limits struct {
	Memory int64 // bytes the containers may use; 0 = not known
	CPU    int   // cores; 0 = not known

	Host *Host // on AWS: what an instance of the hosts' type has
}

// Verdict is an answer with reasons: "fits", or "cannot fit, because …".
type Verdict struct {
	Fits    bool     `json:"fits"`
	Reasons []string `json:"reasons"`
	// Sums say of what fits how much it takes of what there is.
	Sums []string `json:"sums,omitempty"`
}
