package content

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/services/artifact"
)

const (
	// pace is how many bytes a client must take within patience: the server's own
	// limit on answers would cut off a slow device in the middle of an image.
	pace     = 64 << 10
	patience = time.Minute
)

// Serve answers a GET or HEAD with a blob: whole, a range of it, or 304 and 412 as
// conditions in the request want it. An error comes back while nothing has been
// answered yet; later ones cut the connection, so that no client takes a part for
// the whole. The caller sets headers of its own before.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, f artifact.Facts) error {
	var body io.ReadSeeker
	if c.fits(f.Size) {
		data, err := c.Bytes(r.Context(), f.SHA256, f.Size)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
		setHeaders(w, f)
		if plain(r) {
			w.Header().Set("Content-Length", strconv.FormatInt(f.Size, 10))
			w.WriteHeader(http.StatusOK)
			_, _ = newPacer(w, r).Write(data) // the client's loss
			return nil
		}
	} else {
		s := &stream{ctx: r.Context(), blobs: c.blobs, sha256: f.SHA256, size: f.Size}
		defer s.Close()
		if plain(r) {
			if err := s.open(); err != nil {
				return err
			}
		}
		body = s
		setHeaders(w, f)
	}
	http.ServeContent(newPacer(w, r), r, "", time.Time{}, body)
	return nil
}

func setHeaders(w http.ResponseWriter, f artifact.Facts) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+f.SHA256+`"`)
	h.Set("x-MD5", f.MD5)
}

// plain reports whether a request wants the whole blob, without any condition.
func plain(r *http.Request) bool {
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return r.Method == http.MethodGet
}

// pacer gives each piece of an answer its own time, and errors their usual form.
type pacer struct {
	http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	refused bool
}

func newPacer(w http.ResponseWriter, r *http.Request) *pacer {
	return &pacer{ResponseWriter: w, control: http.NewResponseController(w), request: r}
}

func (p *pacer) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		p.ResponseWriter.WriteHeader(status)
		return
	}
	p.refused = true // and what ServeContent says of it is left out
	p.Header().Del("x-MD5")
	problem.OfStatus(status, problem.Code(status)).Write(p.ResponseWriter, p.request)
}

func (p *pacer) Write(data []byte) (written int, err error) {
	if p.refused {
		return len(data), nil
	}
	for len(data) > 0 {
		piece := data[:min(len(data), pace)]
		_ = p.control.SetWriteDeadline(time.Now().Add(patience)) // a real connection has one
		n, err := p.ResponseWriter.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		data = data[n:]
	}
	return written, nil
}

// stream reads a blob that is too large for the cache from the object store.
type stream struct {
	ctx    context.Context
	blobs  artifact.Blobs
	sha256 string
	size   int64
	at     int64         // where the reader is
	body   io.ReadCloser // nil before the first read
	bodyAt int64         // where body is
}

// open opens the blob where the reader is.
func (s *stream) open() error {
	s.Close()
	body, _, err := s.blobs.Get(s.ctx, s.sha256, s.at, -1)
	s.body, s.bodyAt = body, s.at
	return err
}

func (s *stream) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	if s.body == nil || s.bodyAt != s.at {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	n, err := s.body.Read(p)
	s.at += int64(n)
	s.bodyAt = s.at
	return n, err
}

func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("content: a negative position")
	}
	s.at = offset
	return offset, nil
}

func (s *stream) Close() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}
