package solotest

import (
	"context"
	"net/http"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	authapi "github.com/flota/flota/services/auth/httpapi"
)

const authPrefix = "/api/auth/v1"

// SetupNeeded reports whether there is no administrator yet.
func (c *Client) SetupNeeded(ctx context.Context) (bool, error) {
	var answer struct{ Needed bool }
	err := c.Do(ctx, http.MethodGet, authPrefix+"/setup", nil, &answer)
	return answer.Needed, err
}

// Setup makes the first administrator, who is logged in then.
func (c *Client) Setup(ctx context.Context, token, login, password, workspace string) error {
	return c.logIn(ctx, "/setup", authapi.SetupJSONBody{Token: token, Login: login, Password: password, Workspace: workspace})
}

// Login logs a person in.
func (c *Client) Login(ctx context.Context, login, password string) error {
	return c.logIn(ctx, "/login", authapi.LoginJSONBody{Login: login, Password: password})
}

// ProductLogin logs in as a product.
func (c *Client) ProductLogin(ctx context.Context, slug, productID, password string) error {
	return c.logIn(ctx, "/product-login", authapi.ProductLoginJSONBody{Workspace: slug, ProductId: productID, Password: password})
}

// Refresh gets a fresh access token for the session's cookie.
func (c *Client) Refresh(ctx context.Context) error { return c.logIn(ctx, "/refresh", nil) }

// Logout ends the session.
func (c *Client) Logout(ctx context.Context) error {
	err := c.Do(ctx, http.MethodPost, authPrefix+"/logout", nil, nil)
	c.keep(authapi.Session{})
	return err
}

func (c *Client) logIn(ctx context.Context, path string, in any) error {
	var session authapi.Session
	if err := c.Do(ctx, http.MethodPost, authPrefix+path, in, &session); err != nil {
		return err
	}
	c.keep(session)
	return nil
}

func (c *Client) keep(s authapi.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

// Use makes the client act with an API token.
func (c *Client) Use(apiToken string) {
	c.keep(authapi.Session{AccessToken: apiToken, ExpiresAt: time.Now().Add(24 * time.Hour)})
}

// Me is who the server thinks is asking.
func (c *Client) Me(ctx context.Context) (me authapi.Me, err error) {
	return me, c.Do(ctx, http.MethodGet, authPrefix+"/me", nil, &me)
}

// CreateToken makes an API token and returns its secret.
func (c *Client) CreateToken(ctx context.Context, name string, role authapi.Role) (string, error) {
	var made struct{ Secret string }
	err := c.Do(ctx, http.MethodPost, authPrefix+"/tokens", authapi.CreateTokenJSONBody{Name: name, Role: role}, &made)
	return made.Secret, err
}

// AddMember adds a person to the workspace.
func (c *Client) AddMember(ctx context.Context, login, password string, role authapi.Role) (member authapi.Member, err error) {
	in := authapi.AddMemberJSONBody{Login: login, Password: &password, Role: role}
	return member, c.Do(ctx, http.MethodPost, authPrefix+"/members", in, &member)
}

// NewProduct is a product to register; an empty password is made by the server.
type NewProduct struct {
	ID       string `json:"product_id"`
	Password string `json:"password,omitempty"`
	Name     string `json:"name,omitempty"`
}

// Register registers products: all of them, or none.
func (c *Client) Register(ctx context.Context, products ...NewProduct) ([]authapi.NewProduct, error) {
	var made struct{ Products []authapi.NewProduct }
	err := c.Do(ctx, http.MethodPost, authPrefix+"/products", map[string]any{"products": products}, &made)
	return made.Products, err
}

// RevokeKey makes a device's key void.
func (c *Client) RevokeKey(ctx context.Context, device string) error {
	return c.Do(ctx, http.MethodDelete, authPrefix+"/products/"+word(device)+"/key", nil, nil)
}

// RotateKey gives a device a new key, and returns it.
func (c *Client) RotateKey(ctx context.Context, device string) (string, error) {
	var made struct{ Key string }
	err := c.Do(ctx, http.MethodPost, authPrefix+"/products/"+word(device)+"/key", nil, &made)
	return made.Key, err
}

// SetWiFi enters the Wi-Fi networks of a device.
func (c *Client) SetWiFi(ctx context.Context, device string, networks ...deviceproto.Network) error {
	wanted := authapi.NewWiFi{Networks: make([]authapi.NewNetwork, len(networks))}
	for i, n := range networks {
		wanted.Networks[i] = authapi.NewNetwork{Ssid: n.SSID, Password: &n.Password}
	}
	return c.Do(ctx, http.MethodPut, authPrefix+"/products/"+word(device)+"/wifi", wanted, nil)
}

// HandOut makes the file that a device is given over the cable, as its page does:
// with a new key, and the Wi-Fi that was entered.
func (c *Client) HandOut(ctx context.Context, device, board string) (p deviceproto.Provision, err error) {
	keys, err := c.SigningKeys(ctx)
	if err != nil {
		return p, err
	}
	err = c.Do(ctx, http.MethodPost, authPrefix+"/products/"+word(device)+"/provisioning", nil, &p)
	p.Server, p.Keys, p.Board = c.DeviceOrigin, keys, board
	return p, err
}
