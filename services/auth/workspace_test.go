package auth

import (
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

func TestSlugOf(t *testing.T) {
	for name, want := range map[string]string{
		"Robots":                        "robots",
		"Taller Ñandú 3":                "taller-nandu-3",
		"  --Äpfel & Birnen--  ":        "apfel-birnen",
		"工場":                            "workspace",
		"a工b":                           "a-b",
		"!":                             "workspace",
		strings.Repeat("x", 100):        strings.Repeat("x", 40),
		strings.Repeat("ab-", 30) + "!": strings.Trim(strings.Repeat("ab-", 30)[:40], "-"),
	} {
		if got := slugOf(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if a, b := slugTry("robots", 0), slugTry("robots", 1); a != "robots" || b != "robots-2" {
		t.Errorf("tries %q, %q", a, b)
	}
}

// A workspace always has an owner, whoever does what in whatever order.
func TestLastOwnerStays(t *testing.T) {
	w := Workspace{Members: []Member{{"ada", identity.Owner}, {"bob", identity.Viewer}}}
	for name, change := range map[string]func() error{
		"remove the last owner": func() error { return w.remove("ada") },
		"demote the last owner": func() error { return w.setRole("ada", identity.Maintainer) },
	} {
		if err := change(); !fault.Is(err, fault.Precondition) || w.Role("ada") != identity.Owner {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func() error{
		"remove a stranger":  func() error { return w.remove("eve") },
		"promote a stranger": func() error { return w.setRole("eve", identity.Owner) },
	} {
		if err := change(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.add("bob", identity.Owner); !fault.Is(err, fault.Conflict) {
		t.Errorf("add a member again: %v", err)
	}
	if err := w.setRole("ada", identity.Owner); err != nil {
		t.Errorf("an owner stays owner: %v", err)
	}
	if err := w.setRole("bob", identity.Owner); err != nil {
		t.Fatal(err)
	}
	if err := w.remove("ada"); err != nil || w.Role("ada") != "" {
		t.Errorf("one of two owners goes: %v", err)
	}
	if err := w.remove("bob"); !fault.Is(err, fault.Precondition) {
		t.Errorf("the other one stays: %v", err)
	}
	for len(w.Members) < maxMembers {
		if err := w.add(newID(), identity.Viewer); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.add("one too many", identity.Viewer); !fault.Is(err, fault.TooLarge) {
		t.Errorf("more members than allowed: %v", err)
	}
}

func TestLower(t *testing.T) {
	for _, row := range []struct{ a, b, want identity.Role }{
		{identity.Owner, identity.Viewer, identity.Viewer},
		{identity.Viewer, identity.Owner, identity.Viewer},
		{identity.Maintainer, identity.Maintainer, identity.Maintainer},
		{identity.Viewer, "", ""},
		{"", identity.Owner, ""},
		{identity.Owner, identity.Product, ""},
	} {
		if got := lower(row.a, row.b); got != row.want {
			t.Errorf("lower(%q, %q) = %q", row.a, row.b, got)
		}
	}
}

func TestChecks(t *testing.T) {
	for _, login := range []string{"", "a", "with space", "tab\tbed", "nul\x00", "bad\xff", strings.Repeat("x", 129)} {
		if err := checkLogin(login); fault.As(err) == nil || fault.As(err).Field != "login" {
			t.Errorf("login %q: %v", login, err)
		}
	}
	for _, login := range []string{"ada", "ada@example.org", "Ñandú", strings.Repeat("x", 128)} {
		if err := checkLogin(login); err != nil {
			t.Errorf("login %q: %v", login, err)
		}
	}
	if loginKey("ADA") != loginKey("ada") || loginKey("ﬁx") != loginKey("fix") {
		t.Error("logins that look alike are two people")
	}
	for _, id := range []string{"", "-x", "_x", "a b", "a.b", "ä", strings.Repeat("x", 65)} {
		if err := (NewProduct{ProductID: id}).check(""); fault.As(err) == nil || fault.As(err).Field != "product_id" {
			t.Errorf("product ID %q: %v", id, err)
		}
	}
	for field, p := range map[string]NewProduct{
		"":         {ProductID: "bot_001", Password: "1234", Name: "Bot"},
		"password": {ProductID: "bot_001", Password: "123"},
		"name":     {ProductID: "bot_001", Name: "two\nlines"},
	} {
		err := p.check("")
		if (err == nil) != (field == "") || err != nil && fault.As(err).Field != field {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
