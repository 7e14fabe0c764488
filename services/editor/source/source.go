// Package source gives workers the source of the attempt that they were
// granted: a tar behind a signed link.
package source

import (
	"archive/tar"
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/services/editor"
)

// Prefix is the path below which the links are.
const Prefix = "/src/"

// audience is whom the links are for: whoever was granted the attempt.
const audience = "compiler"

// Store finds the revision of a build.
type Store interface {
	Build(ctx context.Context, id string) (*editor.Build, error)
	Revision(ctx context.Context, workspace, project string, number int) (*editor.Revision, error)
}

// Server makes links and answers them.
type Server struct {
	base     string
	ring     *link.Ring
	store    Store
	contents editor.Contents
}

var _ editor.Sources = (*Server)(nil)

// New returns a server whose links begin with base, the URL under which workers
// reach this service.
func New(base string, ring *link.Ring, store Store, contents editor.Contents) *Server {
	return &Server{strings.TrimSuffix(base, "/"), ring, store, contents}
}

// URL implements editor.Sources.
func (s *Server) URL(build string, attempt int, until time.Time) string {
	return s.base + Prefix + s.ring.Sign(link.Link{
		Kind: link.Source, Subject: []byte(build + "." + strconv.Itoa(attempt)), Audience: audience, Expires: until,
	})
}

// ServeHTTP answers GET /src/<token> with the source, as a tar. A link that
// is false, has expired, or whose attempt is over opens nothing: 403.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := s.open(r.Context(), strings.TrimPrefix(r.URL.Path, Prefix))
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-tar")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(data)
}

func (s *Server) open(ctx context.Context, token string) ([]byte, error) {
	l, err := s.ring.Verify(token, link.Source)
	if err == nil {
		err = l.CheckAudience(audience)
	}
	if err != nil {
		return nil, err
	}
	id, number, _ := strings.Cut(string(l.Subject), ".")
	attempt, _ := strconv.Atoi(number)
	b, err := s.store.Build(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err != nil || !b.Current(attempt) {
		return nil, fault.New(fault.Forbidden, "this attempt is over")
	}
	revision, err := s.store.Revision(ctx, b.Workspace, b.Project, b.Revision)
	if err != nil {
		return nil, err
	}
	return Tar(ctx, revision.Files, s.contents)
}

// Tar returns the files as a tar: the same bytes for the same tree.
func Tar(ctx context.Context, files editor.Files, contents editor.Contents) ([]byte, error) {
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, f := range files {
		content, err := contents.Get(ctx, f.SHA256)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR}
		if len(f.Path) > 100 {
			header.Format = tar.FormatPAX // USTAR cannot split every long path
		}
		if err := tw.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := tw.Write(content); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
