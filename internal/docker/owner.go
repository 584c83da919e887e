package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"

	"platen/internal/report"
	"platen/internal/topology"
)

// own refuses to work on an environment that belongs to another folder: two sites with one name
// would take turns in replacing each other. A folder that is gone owns nothing: the site was
// moved.
func (p *Place) own(ctx context.Context, t topology.Topology) error {
	if t.Folder == "" {
		return nil
	}
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	owners := map[string]bool{}
	for _, m := range members {
		owners[m.Labels[labelFolder]] = true
	}
	volumes, err := p.api.VolumeList(ctx, client.VolumeListOptions{Filters: projectFilter(t)})
	if err != nil {
		return fmt.Errorf("list the volumes of %s: %w", t.Project, err)
	}
	// The label of a volume stays when a site moves; the containers know better.
	if len(members) == 0 {
		for _, v := range volumes.Items {
			owners[v.Labels[labelFolder]] = true
		}
	}
	for owner := range owners {
		if owner == "" || owner == t.Folder {
			continue
		}
		if _, err := os.Stat(owner); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return &OwnedError{Project: t.Project, Site: t.Site, Owner: owner, Folder: t.Folder}
	}
	return nil
}

// OwnedError says that another folder has a site of the same name here.
type OwnedError struct{ Project, Site, Owner, Folder string }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("the site %s of this machine belongs to the folder %s, not to %s", e.Site, e.Owner, e.Folder)
}

// Hint implements the interface of report.HintOf.
func (e *OwnedError) Hint() string {
	return "Give this site another name (name: in platen.yaml), or remove the other one: cd " + e.Owner + " && platen down --volumes"
}

func projectFilter(t topology.Topology) client.Filters {
	return client.Filters{}.Add("label", api.ProjectLabel+"="+t.Project)
}

// portTaken explains an error of the engine that means that the edge's port is not free.
func (p *Place) portTaken(ctx context.Context, t topology.Topology, err error) error {
	who := p.Listener(ctx, t.Edge.Port)
	if who == "" {
		who = "another program"
	}
	return report.Hint(fmt.Errorf("publish the site on %s:%d: the port is taken by %s: %w", t.Edge.Address, t.Edge.Port, who, err),
		"end what listens there; or move the site for good with platen up --port N (0 takes any free one): links in posts keep the old port")
}
