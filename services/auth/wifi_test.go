package auth_test

import (
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// A sealed list opens where it was put and nowhere else, and what does not open
// hands out no key; it can be entered anew.
func TestWiFiIsBoundToItsPlace(t *testing.T) {
	w := newWorld(t)
	grant := w.founded(t)
	workspace := grant.Me.Workspace.ID
	made, err := w.products.Create(t.Context(), workspace, list("bot_001", "bot_002"))
	if err != nil {
		t.Fatal(err)
	}
	one, two := made[0].Product.ID, made[1].Product.ID
	wifi := &auth.WiFi{Workspaces: w.store, Products: w.store, Box: newBox(t)}
	handing := &auth.Provisioning{Products: w.products, WiFi: wifi, Log: zaptest.NewLogger(t)}
	password := "a good password"
	if err := wifi.SetOfProduct(t.Context(), workspace, one, []auth.NewNetwork{{SSID: "home", Password: &password}}); err != nil {
		t.Fatal(err)
	}
	stored, err := w.products.Get(t.Context(), workspace, one)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.store.ChangeProduct(t.Context(), two, func(p *auth.Product) (auth.News, error) { p.WiFi = stored.WiFi; return auth.NoNews, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.ChangeWorkspace(t.Context(), workspace, func(x *auth.Workspace) error { x.WiFi = stored.WiFi; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := handing.HandOut(t.Context(), callerOf(grant), two); !fault.Is(err, fault.Internal) {
		t.Errorf("another product's networks: %v", err)
	}
	if _, err := wifi.OfProduct(t.Context(), workspace, two); !fault.Is(err, fault.Internal) {
		t.Errorf("another product's networks: %v", err)
	}
	if _, err := wifi.OfWorkspace(t.Context(), workspace); !fault.Is(err, fault.Internal) {
		t.Errorf("a product's networks as the workspace's: %v", err)
	}
	if shown, _ := w.keys.key(two); shown.Hash != deviceproto.KeyHash(made[1].Key) {
		t.Error("the key changed although nothing was handed out")
	}
	if err := wifi.SetOfProduct(t.Context(), workspace, two, []auth.NewNetwork{{SSID: "home"}}); !fault.Is(err, fault.Internal) {
		t.Errorf("a password was kept that cannot be opened: %v", err)
	}
	if err := wifi.SetOfProduct(t.Context(), workspace, two, []auth.NewNetwork{{SSID: "home", Password: &password}}); err != nil {
		t.Error(err)
	}
	given, err := handing.HandOut(t.Context(), callerOf(grant), two)
	if err != nil || len(given.WiFi) != 1 || given.WiFi[0] != (deviceproto.Network{SSID: "home", Password: password}) {
		t.Errorf("%v, %v", given, err)
	}

	if err := w.products.Delete(t.Context(), workspace, one); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"set": wifi.SetOfProduct(t.Context(), workspace, one, nil), "nobody": wifi.SetOfProduct(t.Context(), workspace, "nobody", nil),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := handing.HandOut(t.Context(), callerOf(grant), one); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deleted product: %v", err)
	}
}

// A product's old password stops counting at once, though the access token that
// was made with it still lives.
func TestGateForProducts(t *testing.T) {
	w := newWorld(t)
	grant := w.founded(t)
	workspace := grant.Me.Workspace.ID
	made, err := w.products.Create(t.Context(), workspace, list("bot_001", "bot_002"))
	if err != nil {
		t.Fatal(err)
	}
	device := made[0].Product.ID
	gate := &auth.Gate{Directory: w.store, Products: w.store, Tokens: w.store, Clock: w.now}
	product := identity.Principal{
		Kind: identity.KindProduct, Subject: device, Device: device, Workspace: workspace, Role: identity.Product,
		Expires: w.now().Add(auth.AccessLife).Truncate(time.Second), // as a token tells it
	}
	admit := func(p identity.Principal, device string) error {
		_, err := gate.AdmitFor(identity.NewContext(t.Context(), p), identity.Maintainer, device)
		return err
	}
	if err := admit(product, device); err != nil {
		t.Error(err)
	}
	if err := admit(product, made[1].Product.ID); !fault.Is(err, fault.Forbidden) {
		t.Errorf("another product: %v", err)
	}
	stranger := product
	stranger.Workspace = "elsewhere"
	if err := admit(stranger, device); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another workspace: %v", err)
	}
	w.pass(2 * time.Second)
	if err := w.products.SetPassword(t.Context(), workspace, device, "another password"); err != nil {
		t.Fatal(err)
	}
	if err := admit(product, device); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the old password: %v", err)
	}
	product.Expires = w.now().Add(auth.AccessLife).Truncate(time.Second)
	if err := admit(product, device); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := w.products.Delete(t.Context(), workspace, device); err != nil {
		t.Fatal(err)
	}
	if err := admit(product, device); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a deleted product: %v", err)
	}
}
