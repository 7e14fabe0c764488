package artifact

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/link"
)

// maxLife is how long a download link lives where less is not asked for: whoever has
// it may use it, so it is short.
const maxLife = time.Hour

// Links makes and opens signed links.
type Links struct {
	Ring    *link.Ring
	Catalog Catalog
	// Internal is where workers reach this service.
	Internal *url.URL
	Now      func() time.Time
}

// Grant is the right to store outputs of one attempt of a build.
type Grant struct {
	Workspace string
	Build     string
	Attempt   uint32
	Expires   time.Time
}

// String is how a link carries the grant.
func (g Grant) String() string { return fmt.Sprintf("%s/%s/%d", g.Workspace, g.Build, g.Attempt) }

// Download returns a path below the public origin for a blob that the workspace
// has, good for anybody who has it, for at most an hour; life 0 is that hour. It is
// made for no person: its audience is the file name, so that nobody can make it save
// what it opens under another one. Errors: Invalid, NotFound.
func (l *Links) Download(ctx context.Context, workspace, sha256, name string, life time.Duration) (path string, expires time.Time, err error) {
	if !validName(name) {
		return "", time.Time{}, fault.Field("name", "must be a file name of 1 to 128 bytes")
	}
	if !deviceproto.ValidDigest(sha256) {
		return "", time.Time{}, fault.Field("sha256", "must be 64 lower-case hexadecimal digits")
	}
	if _, err := l.Catalog.Get(ctx, workspace, sha256); err != nil {
		return "", time.Time{}, err
	}
	if life <= 0 || life > maxLife {
		life = maxLife
	}
	subject, err := hex.DecodeString(sha256)
	if err != nil {
		return "", time.Time{}, err
	}
	expires = l.Now().Add(life).Truncate(time.Second)
	token := l.Ring.Sign(link.Link{Kind: link.Download, Subject: subject, Audience: name, Expires: expires})
	return "/dl/" + token + "/" + url.PathEscape(name), expires, nil
}

// OpenDownload returns the digest of the blob that a download link opens. Errors:
// Forbidden, Expired.
func (l *Links) OpenDownload(token, name string) (sha256 string, err error) {
	open, err := l.Ring.Verify(token, link.Download)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(open.Subject), open.CheckAudience(name)
}

// Upload returns an absolute URL, to which "/<sha256>" is added, that is good until
// the deadline. Its subject is the attempt, for whose worker it is; workers have no
// credential that an audience could be compared with. Errors: Invalid.
func (l *Links) Upload(g Grant) (string, time.Time, error) {
	switch {
	case !isWord(g.Workspace):
		return "", time.Time{}, fault.Field("workspace", "is not an ID")
	case !isWord(g.Build):
		return "", time.Time{}, fault.Field("upload.build", "is not an ID")
	case len(g.String()) > link.MaxSubject:
		return "", time.Time{}, fault.Field("upload.build", "is too long")
	case !g.Expires.After(l.Now()):
		return "", time.Time{}, fault.Field("upload.deadline_ms", "is over")
	}
	token := l.Ring.Sign(link.Link{Kind: link.Upload, Subject: []byte(g.String()), Expires: g.Expires})
	return l.Internal.JoinPath("up", token).String(), g.Expires, nil
}

// OpenUpload returns what an upload link grants. Errors: Forbidden, Expired.
func (l *Links) OpenUpload(token string) (Grant, error) {
	open, err := l.Ring.Verify(token, link.Upload)
	if err != nil {
		return Grant{}, err
	}
	words := strings.Split(string(open.Subject), "/")
	if len(words) != 3 {
		return Grant{}, errForeign
	}
	attempt, err := strconv.ParseUint(words[2], 10, 32)
	if err != nil {
		return Grant{}, errForeign
	}
	return Grant{Workspace: words[0], Build: words[1], Attempt: uint32(attempt), Expires: open.Expires}, nil
}

// Image returns the token of an image link: for one device and deployment. Its subject
// names the device, which is looked up there and is the only one whose credential may
// come along.
func (l *Links) Image(d *Device, deployment int64) string {
	return l.Ring.Sign(link.Link{
		Kind: link.Image, Subject: imageSubject(d.ID, deployment), Expires: l.Now().Add(deviceproto.LinkLife),
	})
}

// OpenImage returns what an image link opens. Errors: Forbidden, Expired.
func (l *Links) OpenImage(token string) (device string, deployment int64, err error) {
	open, err := l.Ring.Verify(token, link.Image)
	if err != nil {
		return "", 0, err
	}
	if len(open.Subject) <= 8 {
		return "", 0, errForeign
	}
	return string(open.Subject[8:]), int64(binary.BigEndian.Uint64(open.Subject)), nil
}

var errForeign = fault.New(fault.Forbidden, "this link is not one of ours")

// maxDeviceID is the longest ID that an image link has room for.
const maxDeviceID = link.MaxSubject - 8

func imageSubject(device string, deployment int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(deployment)), device...)
}

func isWord(s string) bool { return s != "" && !strings.ContainsAny(s, "/ \n") }

// validName keeps to names that are one segment of a path and safe to save.
func validName(name string) bool {
	bad := func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) }
	return name != "" && name != "." && name != ".." && len(name) <= 128 && utf8.ValidString(name) && !strings.ContainsFunc(name, bad)
}
