package natsbus

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	"github.com/flota/flota/services/artifact"
)

// linkSlots is how many requests for links are answered at a time.
const linkSlots = 16

// ServeLinks answers artifact.links until ctx ends.
func ServeLinks(ctx context.Context, conn *bus.Conn, links *artifact.Links) error {
	return bus.Serve(ctx, conn, flow.Links, linkSlots, func(ctx context.Context, q *artifactv1.LinksRequest) (*artifactv1.LinksResponse, error) {
		url, expires, err := answer(ctx, links, q)
		if err != nil {
			return nil, err
		}
		return &artifactv1.LinksResponse{Url: url, ExpiresMs: expires.UnixMilli()}, nil
	})
}

func answer(ctx context.Context, links *artifact.Links, q *artifactv1.LinksRequest) (string, time.Time, error) {
	if w := q.GetDownload(); w != nil {
		return links.Download(ctx, q.GetWorkspace(), w.GetSha256(), w.GetName(), time.Duration(w.GetValidS())*time.Second)
	}
	if w := q.GetUpload(); w != nil {
		return links.Upload(artifact.Grant{
			Workspace: q.GetWorkspace(), Build: w.GetBuild(), Attempt: w.GetAttempt(), Expires: time.UnixMilli(w.GetDeadlineMs()),
		})
	}
	return "", time.Time{}, fault.Field("want", "must be download or upload")
}
