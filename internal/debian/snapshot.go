package debian

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"platen/internal/image"
)

// snapshotURL asks the snapshot service where it has the .deb of p. The service knows files by SHA1;
// what comes is checked by SHA256 as from any mirror.
func (a *Archive) snapshotURL(ctx context.Context, p image.Package) (string, error) {
	ask := fmt.Sprintf("%s/mr/binary/%s/%s/binfiles?fileinfo=1", a.o.Snapshot, url.PathEscape(p.Name), url.PathEscape(p.Version))
	data, err := a.get(ctx, ask, 1<<20)
	if err != nil {
		return "", fmt.Errorf("ask the snapshot service: %w", err)
	}
	var answer struct {
		Result []struct {
			Architecture string `json:"architecture"`
			Hash         string `json:"hash"`
		} `json:"result"`
		Files map[string][]struct {
			Size int64 `json:"size"`
		} `json:"fileinfo"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return "", fmt.Errorf("ask the snapshot service: %s: %w", ask, err)
	}
	for _, r := range answer.Result {
		if r.Architecture != p.Architecture {
			continue
		}
		for _, f := range answer.Files[r.Hash] {
			if f.Size == p.Size {
				return a.o.Snapshot + "/file/" + url.PathEscape(r.Hash), nil
			}
		}
	}
	return "", &absentError{fmt.Sprintf("the snapshot service has no %s %s for %s of %d bytes", p.Name, p.Version, p.Architecture, p.Size)}
}
