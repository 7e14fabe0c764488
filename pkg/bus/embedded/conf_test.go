package embedded

import (
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/flota/flota/pkg/flow"
)

// The server inside the process and the one of deploy/nats are set up alike.
func TestConfIsTheSame(t *testing.T) {
	passwords := map[flow.Service]string{}
	for _, s := range flow.Services {
		passwords[s] = "7e1-secret-of-" + string(s)
		t.Setenv("NATS_PASSWORD_"+strings.ToUpper(string(s)), passwords[s])
	}
	conf, err := server.ProcessConfigFile("../../../deploy/nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := serverOptions(Options{StoreDir: conf.StoreDir, Listen: "0.0.0.0:4222"}, passwords)
	if err != nil {
		t.Fatal(err)
	}
	type settings struct {
		Name, Host, StoreDir string
		Port                 int
		Always, JetStream    bool
		File, Memory         int64
		Payload              int32
	}
	of := func(o *server.Options) settings {
		return settings{o.ServerName, o.Host, o.StoreDir, o.Port, o.SyncAlways, o.JetStream, o.JetStreamMaxStore, o.JetStreamMaxMemory, o.MaxPayload}
	}
	if a, b := of(conf), of(ours); a != b {
		t.Errorf("settings\n%+v\n%+v", a, b)
	}
	if len(conf.Users) != len(flow.Services) || len(ours.Users) != len(flow.Services) {
		t.Fatalf("%d and %d users", len(conf.Users), len(ours.Users))
	}
	for i := range conf.Users {
		if a, b := *conf.Users[i], *ours.Users[i]; a.Username != b.Username || a.Password != b.Password || !reflect.DeepEqual(a.Permissions, b.Permissions) {
			t.Errorf("users\n%+v %+v\n%+v %+v", a, a.Permissions, b, b.Permissions)
		}
	}
}
