package topology

// State is what an environment remembers between runs and no file says: the JSON record
// "state" of the store. The zero value is an environment that was never brought up.
type State struct {
	// Port is the edge's on 127.0.0.1, chosen at the first up; 0 = not chosen yet.
	Port int `json:"port,omitempty"`
	// Wanted is what platen.yaml asked for when Port was chosen. When the file asks for
	// another port now, Port no longer holds. 0 = not recorded, Port holds.
	Wanted int `json:"wanted,omitempty"`

	Live   int `json:"live,omitempty"`   // generation of the data; 0 reads as 1
	Staged int `json:"staged,omitempty"` // generation being restored; 0 = none

	Tasks int `json:"tasks,omitempty"` // what `scale` asked for; 0 = no override

	// Secrets maps the name of a secret that a person gave (task.SecretMail) to its version,
	// as the place that keeps it tells. The secret itself is never recorded.
	Secrets map[string]string `json:"secrets,omitempty"`

	// Images maps an image's name to the reference that the last Publish returned.
	Images map[string]string `json:"images,omitempty"`
}
