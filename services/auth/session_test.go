package auth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	grant := w.founded(t)
	if me := grant.Me; me.Kind != identity.KindPerson || me.Name != "ada" || me.Role != identity.Owner || me.Workspace.Slug != "robots" || len(me.Workspaces) != 1 {
		t.Errorf("%+v", me)
	}
	if life := grant.Expires.Sub(w.now()); life > auth.AccessLife || life < auth.AccessLife-time.Second {
		t.Errorf("access for %s", life)
	}
	for name, try := range map[string][2]string{
		"wrong password": {"ada", "bob's password"}, "nobody": {"bob", "ada's password"}, "empty": {"", ""},
	} {
		if _, err := w.sessions.Login(t.Context(), try[0], try[1], "192.0.2.1"); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Refreshing turns the secret over; within a minute several tabs may do it.
func TestRefresh(t *testing.T) {
	w := newWorld(t)
	s0 := w.founded(t).Secret
	refresh := func(secret string) auth.Grant {
		t.Helper()
		grant, err := w.sessions.Refresh(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		return grant
	}
	if got := refresh(s0).Secret; got != s0 {
		t.Error("a secret that is younger than a minute was turned over")
	}
	w.pass(10 * time.Minute)
	s1 := refresh(s0).Secret
	if s1 == s0 || s1 == "" {
		t.Fatalf("after ten minutes: %q", s1)
	}
	if got := refresh(s0).Secret; got != s1 {
		t.Error("a tab that comes a moment later gets another secret")
	}
	if got := refresh(s1).Secret; got != s1 {
		t.Error("the new secret was turned over at once")
	}
	w.pass(10 * time.Minute)
	s2 := refresh(s1).Secret
	if s2 == s1 || s2 == s0 {
		t.Error("secrets repeat")
	}
	if _, err := w.sessions.Refresh(t.Context(), s0); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the secret before the last: %v", err)
	}
	refresh(s2) // that did no harm: nobody can tell it from a guess

	w.pass(2 * time.Minute)
	if _, err := w.sessions.Refresh(t.Context(), s1); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the last secret, after its grace: %v", err)
	}
	if _, err := w.sessions.Refresh(t.Context(), s2); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the session goes on although two parties have its secrets: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *world, auth.Grant){
		"logout": func(t *testing.T, w *world, g auth.Grant) {
			if err := w.sessions.Logout(t.Context(), g.Secret); err != nil {
				t.Error(err)
			}
		},
		"30 days": func(_ *testing.T, w *world, _ auth.Grant) { w.pass(auth.SessionLife) },
		"another owner removes ada": func(t *testing.T, w *world, g auth.Grant) {
			bob, err := w.members.Add(t.Context(), g.Me.Workspace.ID, "bob", "bob's password", identity.Owner)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.members.Remove(t.Context(), auth.Caller{User: bob.User, Workspace: g.Me.Workspace.ID, Role: identity.Owner}, g.Me.ID); err != nil {
				t.Error(err)
			}
		},
		"50 other logins": func(t *testing.T, w *world, g auth.Grant) {
			for range 50 {
				w.pass(time.Millisecond)
				if _, err := w.sessions.OpenPerson(t.Context(), g.Me.ID); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			grant := w.founded(t)
			if _, err := w.sessions.Refresh(t.Context(), grant.Secret); err != nil {
				t.Fatal(err)
			}
			end(t, w, grant)
			if _, err := w.sessions.Refresh(t.Context(), grant.Secret); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("the session goes on: %v", err)
			}
		})
	}
}

func TestSweepRemovesOldSessions(t *testing.T) {
	w := newWorld(t)
	grant := w.founded(t)
	w.pass(auth.SessionLife / 2)
	if _, err := w.sessions.OpenPerson(t.Context(), grant.Me.ID); err != nil {
		t.Fatal(err)
	}
	w.pass(auth.SessionLife/2 + time.Second)
	if err := w.sessions.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := w.store.SessionsOf(t.Context(), grant.Me.ID); err != nil || len(left) != 1 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// Who is removed from the workspace of a session goes on in another, with that one's role.
func TestSessionMovesOn(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	if _, err := w.members.Add(t.Context(), ada.Me.Workspace.ID, "bob", "bob's password", identity.Viewer); err != nil {
		t.Fatal(err)
	}
	bob, err := w.sessions.Login(t.Context(), "bob", "bob's password", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	own, err := w.members.CreateWorkspace(t.Context(), callerOf(bob), "Bob's")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.members.Remove(t.Context(), callerOf(ada), bob.Me.ID); err != nil {
		t.Fatal(err)
	}
	after, err := w.sessions.Refresh(t.Context(), bob.Secret)
	if err != nil || after.Me.Workspace.ID != own.ID || after.Me.Role != identity.Owner || len(after.Me.Workspaces) != 1 {
		t.Errorf("%+v, %v", after.Me, err)
	}
}

func TestSwitch(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	second, err := w.members.CreateWorkspace(t.Context(), callerOf(ada), "Robots")
	if err != nil || second.Slug != "robots-2" {
		t.Fatalf("%+v, %v", second, err)
	}
	p := identity.Principal{Kind: identity.KindPerson, Subject: ada.Me.ID, Expires: w.now().Add(3 * time.Minute)}
	grant, err := w.sessions.Switch(t.Context(), p, ada.Secret, second.ID)
	if err != nil || grant.Me.Workspace.ID != second.ID {
		t.Fatalf("%+v, %v", grant.Me, err)
	}
	if later, err := w.sessions.Refresh(t.Context(), ada.Secret); err != nil || later.Me.Workspace.ID != second.ID {
		t.Errorf("the session did not follow: %+v, %v", later.Me, err)
	}
	grant, err = w.sessions.Switch(t.Context(), p, "", ada.Me.Workspace.ID)
	if err != nil || grant.Expires.After(p.Expires) || grant.Secret != "" {
		t.Errorf("an access token alone made itself live longer: %+v, %v", grant, err)
	}
	for name, test := range map[string]struct {
		p         identity.Principal
		workspace string
		want      fault.Code
	}{
		"no member":  {identity.Principal{Kind: identity.KindPerson, Subject: "eve"}, second.ID, fault.NotFound},
		"no such":    {p, "nowhere", fault.NotFound},
		"a program":  {identity.Principal{Kind: identity.KindToken, Subject: ada.Me.ID}, second.ID, fault.Forbidden},
		"not theirs": {identity.Principal{Kind: identity.KindPerson, Subject: ada.Me.ID}, "", fault.NotFound},
	} {
		if _, err := w.sessions.Switch(t.Context(), test.p, ada.Secret, test.workspace); !fault.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProductSession(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	made, err := w.products.Create(t.Context(), ada.Me.Workspace.ID, []auth.NewProduct{{ProductID: "bot_001", Password: "12345"}, {ProductID: "bot_002"}})
	if err != nil {
		t.Fatal(err)
	}
	login := func(slug, id, password string) (auth.Grant, error) {
		return w.sessions.LoginProduct(t.Context(), slug, id, password, "192.0.2.1")
	}
	if _, err := login("robots", "bot_002", made[1].Password); err != nil {
		t.Errorf("with a made password: %v", err)
	}
	bot, err := login("robots", "bot_001", "12345")
	if err != nil {
		t.Fatal(err)
	}
	if me := bot.Me; me.Kind != identity.KindProduct || me.Role != identity.Product || me.Device != made[0].Product.ID || me.ID != me.Device || len(me.Workspaces) != 0 {
		t.Errorf("%+v", me)
	}
	for _, try := range [][3]string{
		{"robots", "bot_001", "12346"}, {"robots", "bot_003", "12345"}, {"elsewhere", "bot_001", "12345"},
		{"robots", "bot_002", "12345"}, {"", "", ""}, {"robots", "-" + made[0].Product.ID, ""},
	} {
		if _, err := login(try[0], try[1], try[2]); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%v: %v", try, err)
		}
	}
	if _, err := w.sessions.Refresh(t.Context(), bot.Secret); err != nil {
		t.Error(err)
	}
	if err := w.products.SetPassword(t.Context(), ada.Me.Workspace.ID, bot.Me.Device, "54321"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sessions.Refresh(t.Context(), bot.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the session outlived its password: %v", err)
	}
	bot, err = login("robots", "bot_001", "54321")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.products.Delete(t.Context(), ada.Me.Workspace.ID, bot.Me.Device); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sessions.Refresh(t.Context(), bot.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the session outlived its product: %v", err)
	}
	if _, err := login("robots", "bot_001", "54321"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a product that is gone logs in: %v", err)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	bobMember, err := w.members.Add(t.Context(), ada.Me.Workspace.ID, "bob", "bob's password", identity.Maintainer)
	if err != nil {
		t.Fatal(err)
	}
	bob := auth.Caller{User: bobMember.User, Workspace: ada.Me.Workspace.ID, Role: identity.Maintainer}
	if _, _, err := w.tokens.Create(t.Context(), bob, "ci", identity.Owner, time.Time{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a token above its maker: %v", err)
	}
	if _, _, err := w.tokens.Create(t.Context(), bob, "ci", identity.Viewer, w.now()); fault.As(err) == nil || fault.As(err).Field != "expires_at" {
		t.Errorf("a token that has expired: %v", err)
	}
	program := bob
	program.Program = true
	if _, _, err := w.tokens.Create(t.Context(), program, "ci", identity.Viewer, time.Time{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a token made by a token: %v", err)
	}
	token, secret, err := w.tokens.Create(t.Context(), bob, "ci", identity.Maintainer, w.now().Add(time.Hour))
	if err != nil || len(secret) != len(auth.TokenPrefix)+43 {
		t.Fatal(secret, err)
	}
	exchange := func() string {
		access, err := w.tokens.Exchange(t.Context(), secret)
		if err != nil {
			return string(fault.CodeOf(err))
		}
		return access
	}
	as := func(role identity.Role) string {
		return fmt.Sprintf("token ci %s %s", ada.Me.Workspace.ID, role)
	}
	if got := exchange(); got != as(identity.Maintainer) {
		t.Error(got)
	}
	if list, err := w.tokens.List(t.Context(), bob); err != nil || len(list) != 1 || list[0].Used.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := w.tokens.List(t.Context(), callerOf(ada)); err != nil || len(list) != 0 {
		t.Errorf("ada sees bob's: %+v, %v", list, err)
	}
	if err := w.tokens.Delete(t.Context(), callerOf(ada), token.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("ada deletes bob's: %v", err)
	}
	if _, err := w.members.SetRole(t.Context(), bob.Workspace, bob.User, identity.Viewer); err != nil {
		t.Fatal(err)
	}
	if got := exchange(); got != as(identity.Viewer) {
		t.Error("the token kept a role that its maker lost: " + got)
	}
	w.pass(time.Hour)
	if got := exchange(); got != string(fault.Unauthenticated) {
		t.Error("after its time: " + got)
	}
	w.pass(-time.Hour)
	if err := w.members.Remove(t.Context(), callerOf(ada), bob.User); err != nil {
		t.Fatal(err)
	}
	if got := exchange(); got != string(fault.Unauthenticated) {
		t.Error("its maker is gone: " + got)
	}
	for _, wrong := range []string{"", "flota_", secret + "x", "x" + secret} {
		if _, err := w.tokens.Exchange(t.Context(), wrong); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
