package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

const (
	maxMembers    = 1000 // of a workspace
	maxWorkspaces = 100  // of a person
	maxSlug       = 40
)

// Workspace is where people work together. Its members are part of it, so
// that a rule about all of them (the last owner stays) holds by one
// compare-and-set.
type Workspace struct {
	ID      string    `bson:"id"`
	Name    string    `bson:"name"`
	Slug    string    `bson:"slug"` // unique; what is typed at a product's login
	Members []Member  `bson:"members"`
	WiFi    []byte    `bson:"wifi"` // networks of its products that have none of their own, sealed
	Created time.Time `bson:"created"`
}

// Member is a person's role in a workspace.
type Member struct {
	User string        `bson:"user"`
	Role identity.Role `bson:"role"`
}

// Role returns a person's role, "" for somebody who is no member.
func (w *Workspace) Role(user string) identity.Role {
	if i := w.index(user); i >= 0 {
		return w.Members[i].Role
	}
	return ""
}

func (w *Workspace) index(user string) int {
	return slices.IndexFunc(w.Members, func(m Member) bool { return m.User == user })
}

// add makes a person a member. Errors: Conflict for one who is, TooLarge.
func (w *Workspace) add(user string, role identity.Role) error {
	if w.index(user) >= 0 {
		return fault.New(fault.Conflict, "this person is a member already")
	}
	if len(w.Members) >= maxMembers {
		return fault.New(fault.TooLarge, "a workspace has at most %d members", maxMembers)
	}
	w.Members = append(w.Members, Member{user, role})
	return nil
}

// setRole changes a member's role. Errors: NotFound, Precondition for the last owner.
func (w *Workspace) setRole(user string, role identity.Role) error {
	i := w.index(user)
	if i < 0 {
		return fault.New(fault.NotFound, "no such member")
	}
	if role != identity.Owner && w.lastOwner(user) {
		return fault.New(fault.Precondition, "the last owner stays owner; make somebody else an owner first")
	}
	w.Members[i].Role = role
	return nil
}

// remove ends a membership. Errors: NotFound, Precondition for the last owner.
func (w *Workspace) remove(user string) error {
	i := w.index(user)
	if i < 0 {
		return fault.New(fault.NotFound, "no such member")
	}
	if w.lastOwner(user) {
		return fault.New(fault.Precondition, "the last owner cannot go; make somebody else an owner first")
	}
	w.Members = slices.Delete(w.Members, i, i+1)
	return nil
}

func (w *Workspace) lastOwner(user string) bool {
	return w.Role(user) == identity.Owner &&
		!slices.ContainsFunc(w.Members, func(m Member) bool { return m.Role == identity.Owner && m.User != user })
}

func checkRole(role identity.Role) error {
	switch role {
	case identity.Owner, identity.Maintainer, identity.Viewer:
		return nil
	default:
		return fault.Field("role", "a role is owner, maintainer or viewer")
	}
}

// checkName returns the name without blanks around it.
func checkName(field, name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > 100 || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return "", fault.Field(field, "a name has 1 to 100 printable characters")
	}
	return name, nil
}

// slugOf makes what stands in a login form from a name: "Taller Ñandú 3" gives
// "taller-nandu-3".
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	slug := b.String()
	slug = strings.Trim(slug[:min(len(slug), maxSlug)], "-")
	if slug == "" {
		return "workspace"
	}
	return slug
}

// slugTry is the slug itself, then slug-2, slug-3, ….
func slugTry(slug string, try int) string {
	if try == 0 {
		return slug
	}
	return fmt.Sprintf("%s-%d", slug, try+1)
}
