package main

import (
	"context"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/report"
)

// pushImages brings images to a registry as the person whom Docker's configuration knows.
func pushImages(ctx context.Context, r engine.PushRequest, images []image.Image, sink report.Sink) (map[string]string, error) {
	return registry.Push(ctx, registry.PushOptions{
		Repository: r.Repository, Tag: r.Tag, Attach: image.Image.Attachment,
	}, images, sink)
}
