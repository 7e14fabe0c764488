package secret_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/pkg/secret"
)

const ones = "0101010101010101010101010101010101010101010101010101010101010101"

func mustParse(t *testing.T, text string) secret.Master {
	t.Helper()
	m, err := secret.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	first := make([]secret.Master, 8)
	var wg sync.WaitGroup
	for i := range first {
		wg.Go(func() {
			m, err := secret.LoadOrCreate(path)
			if err != nil {
				t.Error(err)
			}
			first[i] = m
		})
	}
	wg.Wait()
	for _, m := range first {
		if m != first[0] || m == (secret.Master{}) {
			t.Fatal("callers at once got different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if again, err := secret.LoadOrCreate(path); err != nil || again != first[0] {
		t.Fatalf("loaded another key: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
}

func TestLoadOrCreateRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"readable by others": {ones, 0o644, "chmod 600"},
		"cut short":          {ones[:10], 0o600, "damaged"},
		"empty":              {"", 0o600, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(test.content), test.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if now, _ := os.ReadFile(path); string(now) != test.content {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "none", "key")); err == nil {
		t.Error("a folder that does not exist was accepted")
	}
}

// The derivation is part of the format of everything at rest: it never changes.
func TestDeriveIsStable(t *testing.T) {
	m := mustParse(t, ones)
	if got := hex.EncodeToString(m.Derive("auth")); got != "d7f2c214d1682b18bb966435a277ada2b73b714faaeeaf6cd8a5c630bdd6293c" {
		t.Errorf("auth: %s", got)
	}
	if bytes.Equal(m.Derive("auth"), m.Derive("fleet")) {
		t.Error("two names, one key")
	}
	if mustParse(t, m.Hex()) != m {
		t.Error("Hex and Parse differ")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		if got := fmt.Sprintf(verb, m); got != "***" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "zz", ones[2:], ones + "01"} {
		if _, err := secret.Parse(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestBox(t *testing.T) {
	old, key := mustParse(t, ones).Derive("old"), mustParse(t, ones).Derive("new")
	before, err := secret.NewBox(old)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(key, old)
	if err != nil {
		t.Fatal(err)
	}
	plain, aad := []byte("device key"), []byte("device/1")

	sealed := box.Seal(plain, aad)
	if got, err := box.Open(sealed, aad); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, err := box.Open(before.Seal(plain, aad), aad); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("sealed by the older key: %q, %v", got, err)
	}
	if bytes.Equal(sealed, box.Seal(plain, aad)) {
		t.Error("two seals are equal: the nonce repeats")
	}
	if _, err := before.Open(sealed, aad); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("opened with a foreign key: %v", err)
	}
	if _, err := box.Open(sealed, []byte("device/2")); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("opened in another place: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := box.Open(changed, aad); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := box.Open(sealed[:i], aad); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	if empty, err := box.Open(box.Seal(nil, nil), nil); err != nil || len(empty) != 0 {
		t.Errorf("empty value: %q, %v", empty, err)
	}
	if _, err := secret.NewBox(key[1:]); err == nil {
		t.Error("a short key was accepted")
	}
}
