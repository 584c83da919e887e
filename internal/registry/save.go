package registry

import (
	"fmt"
	"path"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"platen/internal/image"
)

// nameAnnotation is where tools look for the name of an image in a layout.
const nameAnnotation = "org.opencontainers.image.ref.name"

// Save writes images into a folder in the OCI layout, which other tools push, scan and sign: an index
// of platforms under each name, and beside them each image's bill of materials as an artifact that
// has the image for its subject. What the folder's index listed before is no longer listed. The
// same images give the same folder.
func Save(dir string, images []image.Image) error {
	folder, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("save images to %s: %w", dir, err)
	}
	byName := map[string][]image.Image{}
	var names []string
	for _, img := range images {
		if byName[img.Name] == nil {
			names = append(names, img.Name)
		}
		byName[img.Name] = append(byName[img.Name], img)
	}
	for _, name := range names {
		index, err := join(byName[name])
		if err == nil {
			err = folder.AppendIndex(index, layout.WithAnnotations(map[string]string{nameAnnotation: name}))
		}
		if err != nil {
			return fmt.Errorf("save image %s to %s: %w", name, dir, err)
		}
	}
	for _, img := range images {
		attached, err := img.Attachment()
		if err == nil && attached != nil {
			err = folder.AppendImage(attached, layout.WithAnnotations(map[string]string{nameAnnotation: img.Name + "-" + path.Base(img.Platform) + ".cdx.json"}))
		}
		if err != nil {
			return fmt.Errorf("save what image %s is made of to %s: %w", img.Name, dir, err)
		}
	}
	return nil
}
