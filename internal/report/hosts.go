package report

import "time"

// Hosts are the machines that tasks run on, and the machine image that they are made of.
type Hosts struct {
	Environment  string   `json:"environment"`
	Architecture string   `json:"architecture"`
	Image        string   `json:"image"`                 // the pinned one; "" when nothing was made yet
	Newest       string   `json:"newest"`                // what AWS recommends today
	NewestName   string   `json:"newest_name,omitempty"` // carries its date
	Hosts        []Host   `json:"hosts"`
	Refresh      *Refresh `json:"refresh,omitempty"` // the last replacement of all hosts
}

// Host is one of them.
type Host struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	Zone  string `json:"zone"`
	State string `json:"state"` // InService, Terminating:Wait, …
	Image string `json:"image"`
}

// Refresh replaces hosts one after the other.
type Refresh struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"` // as Auto Scaling calls it: Pending, InProgress, Successful, Failed, …
	Percent int       `json:"percent"`
	Left    int       `json:"left"` // hosts that are still to be replaced
	Reason  string    `json:"reason,omitempty"`
	Started time.Time `json:"started,omitzero"`
}

// Runs tells whether the refresh is still at work.
func (r *Refresh) Runs() bool {
	if r == nil {
		return false
	}
	switch r.Status {
	case "Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful":
		return false
	}
	return true
}

// Behind are the hosts that are not made of the pinned image.
func (h Hosts) Behind() []Host {
	var behind []Host
	for _, host := range h.Hosts {
		if host.Image != h.Image {
			behind = append(behind, host)
		}
	}
	return behind
}

// Current tells whether there is nothing to update: no newer image, and no host of a former one.
func (h Hosts) Current() bool {
	return h.Image == h.Newest && len(h.Behind()) == 0 && !h.Refresh.Runs()
}

// Move is from what to what an update of the hosts went.
type Move struct {
	From string `json:"from"`
	To   string `json:"to"`
}
