package docker

import "github.com/moby/moby/client"

// API is the engine that this place talks to, for who brings images into it.
func (p *Place) API() client.APIClient { return p.api }
