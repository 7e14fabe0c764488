package repl

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/flota/flota/pkg/fault"
)

// piece is how many bytes of a file are sent at once: as a literal in a line of code it
// fits any heap.
const piece = 768

// helpers are the functions on the board that files need. They leave no global behind
// but _flota; a file is written aside and renamed when what is in the flash has the digest that it must.
const helpers = `
class _flota:
    import os, json
    from binascii import a2b_base64 as b, hexlify
    from hashlib import sha256
    f = None
    @classmethod
    def open(c, p):
        c.close()
        c.f = open(p, "wb")
    @classmethod
    def put(c, text):
        c.f.write(c.b(text))
    @classmethod
    def close(c):
        if c.f:
            c.f.close()
        c.f = None
    @classmethod
    def digest(c, p):
        h, m = c.sha256(), memoryview(bytearray(512))
        with open(p, "rb") as f:
            n = f.readinto(m)
            while n:
                h.update(m[:n])
                n = f.readinto(m)
        return c.hexlify(h.digest()).decode()
    @classmethod
    def find(c, p):
        try:
            return c.digest(p) if c.os.stat(p)[0] & 0x8000 else ""
        except OSError:
            return ""
    @classmethod
    def swap(c, new, p, digest):
        c.close()
        if c.digest(new) != digest:
            c.os.remove(new)
            raise OSError("the flash holds other bytes than were written")
        try:
            c.os.rename(new, p)
        except OSError:  # a FAT file system does not replace
            c.os.remove(p)
            c.os.rename(new, p)
        return c.digest(p)
    @classmethod
    def mkdir(c, p):
        at = ""
        for name in p.strip("/").split("/"):
            at += "/" + name
            try:
                c.os.mkdir(at)
            except OSError:
                if not c.os.stat(at)[0] & 0x4000:
                    raise
    @classmethod
    def list(c, p):
        for e in c.os.ilistdir(p):
            print(c.json.dumps([e[0], e[1] == 0x4000, e[3] if len(e) > 3 else 0]))
`

// Info is what a board says of itself.
type Info struct {
	Name    string // "micropython"
	Version [3]int
	Machine string // "Raspberry Pi Pico W with RP2040"
	// Free and Total are bytes of its file system.
	Free, Total int64
}

// VersionText is like "1.25.0".
func (i Info) VersionText() string {
	return fmt.Sprintf("%d.%d.%d", i.Version[0], i.Version[1], i.Version[2])
}

// Info asks the board what it is.
func (s *Session) Info(ctx context.Context) (Info, error) {
	var raw struct {
		Name    string
		Version []int
		Machine string
		Space   []int64 // block size, all, free
	}
	err := s.ask(ctx, `import sys, os, json
i, v = sys.implementation, os.statvfs("/")
print(json.dumps({"name": i.name, "version": list(i.version[:3]), "machine": getattr(i, "_machine", ""), "space": [v[0], v[2], v[3]]}))
`, &raw)
	if err != nil {
		return Info{}, err
	}
	out := Info{Name: raw.Name, Machine: raw.Machine}
	copy(out.Version[:], raw.Version)
	if len(raw.Space) == 3 {
		out.Total, out.Free = raw.Space[0]*raw.Space[1], raw.Space[0]*raw.Space[2]
	}
	return out, nil
}

// ask runs code that prints one JSON value.
func (s *Session) ask(ctx context.Context, code string, into any) error {
	text, err := s.Run(ctx, code)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(last(text)), into); err != nil {
		return fault.Wrap(err, fault.Internal, "the board answers in a form that nobody understands")
	}
	return nil
}

// last is the last line: what runs on the board besides may have printed before.
func last(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// call runs a line with the helpers.
func (s *Session) call(ctx context.Context, format string, args ...any) (string, error) {
	if !s.helped {
		if _, err := s.Run(ctx, helpers); err != nil {
			return "", err
		}
		s.helped = true
	}
	return s.Run(ctx, fmt.Sprintf(format, args...))
}

// literal is a text as Python reads it.
func literal(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteRune('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "\\x%02x", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Digest is the SHA-256 of a file on the board, in lower-case hex; empty where there is none.
func (s *Session) Digest(ctx context.Context, name string) (string, error) {
	text, err := s.call(ctx, "print(_flota.find(%s))", literal(name))
	return last(text), err
}

// Entry is a file or folder on the board.
type Entry struct {
	Name   string
	Folder bool
	Size   int64 // bytes; 0 where the board does not say
}

// List lists a folder, of at most a few hundred entries.
func (s *Session) List(ctx context.Context, folder string) ([]Entry, error) {
	text, err := s.call(ctx, "_flota.list(%s)", literal(folder))
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for line := range strings.Lines(text) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &[]any{&e.Name, &e.Folder, &e.Size}); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "the board lists %s in a form that nobody understands", folder)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// MakeFolder makes a folder and those above it; one that is there is no error.
func (s *Session) MakeFolder(ctx context.Context, folder string) error {
	_, err := s.call(ctx, "_flota.mkdir(%s)", literal(folder))
	return err
}

// Remove removes a file or an empty folder.
func (s *Session) Remove(ctx context.Context, name string) error {
	_, err := s.call(ctx, "_flota.os.remove(%s)", literal(name))
	return err
}

// WriteFile puts a file on the board, in place of one that is there, with the folders
// above it. It goes aside first, and in its place when what is in the flash has the right
// digest: a cable that is pulled leaves what was there. written, unless nil, is told the bytes so far.
func (s *Session) WriteFile(ctx context.Context, name string, data []byte, written func(int)) error {
	aside := name + ".new"
	if folder := path.Dir(name); folder != "/" && folder != "." {
		if err := s.MakeFolder(ctx, folder); err != nil {
			return err
		}
	}
	if _, err := s.call(ctx, "_flota.open(%s)", literal(aside)); err != nil {
		return err
	}
	for at := 0; at < len(data); at += piece {
		end := min(at+piece, len(data))
		if _, err := s.call(ctx, `_flota.put(b"%s")`, base64.StdEncoding.EncodeToString(data[at:end])); err != nil {
			return err
		}
		if written != nil {
			written(end)
		}
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	text, err := s.call(ctx, "print(_flota.swap(%s, %s, %q))", literal(aside), literal(name), digest)
	if err != nil {
		return err
	}
	if last(text) != digest {
		return fault.New(fault.Internal, "%s has other bytes on the board than were written", name)
	}
	return nil
}
